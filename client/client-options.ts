import { z } from "zod";

import { urlListOption } from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";
import { type Name, nameSchema } from "../shared/name.ts";
import type { ConnectorLimits } from "./connector.ts";
import type { StubSettings } from "./create-stub-resolver.ts";

/** What is left out is taken from the environment, and from here where that says nothing either. */
export interface ClientOptions {
  /** Base URLs of the resolver, or of several of one registry (BERTH_RESOLVER, by comma; https://127.0.0.1:8053). */
  resolver?: string | readonly string[];
  /** The file of a token for lookups, which a resolver may ask for (BERTH_TOKEN_FILE; none). Read again when it changes. */
  tokenFile?: string;
  /** The resolver's `ca.pem`, trusted for resolvers alone and besides the system's authorities (BERTH_CA; none). */
  ca?: string;
  /** The zones to ask the resolver about (BERTH_ZONE, by comma; what the resolver says it answers for). */
  zone?: string | readonly string[];
  /** Milliseconds to find where a name leads (BERTH_RESOLVE_TIMEOUT, in seconds; 5,000). */
  resolveTimeoutMs?: number;
  /** Milliseconds to connect, all endpoints of a name together (BERTH_CONNECT_TIMEOUT, in seconds; 10,000). */
  connectTimeoutMs?: number;
  /** Milliseconds to wait for a name that was there a moment ago (BERTH_RESTART_PATIENCE, in seconds; 10,000). 0: not at all. */
  restartPatienceMs?: number;
}

export interface ClientSettings {
  stub: StubSettings;
  limits: ConnectorLimits;
}

const zoneListSchema = z
  .string()
  .transform((text) => text.split(",").map((part) => part.trim()))
  .pipe(z.array(nameSchema));

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
  const zone = read("zone", "BERTH_ZONE", zoneListSchema.optional(), textOf(options.zone));
  const tokenFile = options.tokenFile ?? filled(env["BERTH_TOKEN_FILE"]);
  const ca = options.ca ?? filled(env["BERTH_CA"]);
  const resolveMs = milliseconds("resolveTimeoutMs", "BERTH_RESOLVE_TIMEOUT", 5_000);
  const stub: StubSettings = {
    resolver,
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
