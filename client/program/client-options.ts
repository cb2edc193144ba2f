import { z } from "zod";

import { addressSchema } from "../../shared/address.ts";
import { urlListOption } from "../../shared/config.ts";
import { BerthError } from "../../shared/errors.ts";
import { type Name, nameSchema } from "../../shared/name.ts";
import type { ConnectorLimits } from "../connect/connector.ts";
import type { StubSettings } from "../create-stub-resolver.ts";
import type { ClientOptions } from "./client-types.ts";

export interface ClientSettings {
  stub: StubSettings;
  limits: ConnectorLimits;
}

const partsSchema = z.string().transform((text) => text.split(",").map((part) => part.trim()));
const zoneListSchema = partsSchema.pipe(z.array(nameSchema));
const addressListSchema = partsSchema.pipe(z.array(addressSchema));

const longestMs = 86_400_000;

/** Throws a BerthError `bad-config` that says which option is wrong, by its name here and in the environment. */
export function clientSettings(
  options: ClientOptions,
  env: Record<string, string | undefined>,
): ClientSettings {
  const resolver = read(
    "resolver",
    "BERTH_RESOLVER",
    urlListOption("https://127.0.0.1:8053"),
    textOf(options.resolver),
  );
  const resolverAddress = read(
    "resolverAddress",
    "BERTH_RESOLVER_ADDRESS",
    addressListSchema.optional(),
    textOf(options.resolverAddress),
  );
  const zone = read("zone", "BERTH_ZONE", zoneListSchema.optional(), textOf(options.zone));
  const tokenFile = options.tokenFile ?? filled(env.BERTH_TOKEN_FILE);
  const ca = options.ca ?? filled(env.BERTH_CA);
  const resolveMs = milliseconds("resolveTimeoutMs", "BERTH_RESOLVE_TIMEOUT", 5_000);
  const stub: StubSettings = {
    resolver,
    ...(resolverAddress === undefined ? {} : { resolverAddress }),
    ...(zone === undefined ? {} : { zone: zone as Name[] }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
    ...(ca === undefined ? {} : { ca: { file: ca, required: true } }),
    resolveTimeoutMs: resolveMs,
  };
  const limits = {
    resolveMs,
    connectMs: milliseconds("connectTimeoutMs", "BERTH_CONNECT_TIMEOUT", 10_000),
    patienceMs: milliseconds("restartPatienceMs", "BERTH_RESTART_PATIENCE", 10_000),
  };
  return { stub, limits };

  function read<T>(option: string, variable: string, schema: z.ZodType<T>, given: string | undefined): T {
    const parsed = schema.safeParse(given ?? filled(env[variable]));
    if (parsed.success) return parsed.data;
    throw new BerthError(
      "bad-config",
      `${option} (or ${variable}): ${parsed.error.issues[0]?.message ?? "wrong"}`,
    );
  }
  function milliseconds(option: keyof ClientOptions, variable: string, standard: number): number {
    const text = filled(env[variable]);
    const ms = options[option] ?? (text === undefined ? standard : Number(text) * 1000);
    if (typeof ms === "number" && ms >= 0 && ms <= longestMs) return ms;
    throw new BerthError("bad-config", `${option} (or ${variable}, in seconds): a time from 0 to a day`);
  }
}

function textOf(given: string | readonly string[] | undefined): string | undefined {
  return typeof given === "object" ? given.join() : given;
}

/** An empty variable is one that is not set. */
function filled(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}
