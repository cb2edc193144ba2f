import { z } from "zod";

import { isLoopbackHost } from "./address.ts";
import { BerthError } from "./errors.ts";

/** One setting: `--its-name VALUE` on the command line, or BERTH_ITS_NAME in the environment; the command line wins. */
export interface Option<T> {
  schema: z.ZodType<T>;
  /** One line for --help: what it sets, its unit, its default. */
  help: string;
  /** The placeholder of the value in --help; an option without one is a switch. */
  value?: string;
  /** The flag may be given several times. The schema reads all values as one text, joined by commas, as the environment has them. */
  list?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: the one place where options of every type meet; ConfigOf gives each its own back
export type Options = Record<string, Option<any>>;
export type ConfigOf<O extends Options> = {
  readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never;
};

/**
 * Reads every option from `flags` (by camelCase key, as parsed from the command line), else `env`, else `defaults`, which depend on the
 * machine and come before the schema's own, and returns them frozen. Throws one
 * BerthError `bad-config` that lists every fault with the option's two names. Values of secrets have no place here: options name files.
 */
export function readConfig<O extends Options>(
  options: O,
  flags: Record<string, string | boolean>,
  env: Record<string, string | undefined>,
  defaults: Record<string, string> = {},
): ConfigOf<O> {
  const faults: string[] = [];
  const config: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(options)) {
    const given = flags[key] ?? switchText(option, env[envName(key)]);
    const parsed = option.schema.safeParse(given === undefined || given === "" ? defaults[key] : given);
    if (parsed.success) config[key] = parsed.data;
    else
      faults.push(`--${flagName(key)} (or ${envName(key)}): ${parsed.error.issues[0]?.message ?? "wrong"}`);
  }
  if (faults.length > 0) throw new BerthError("bad-config", faults.join("; "));
  return Object.freeze(config) as ConfigOf<O>;
}

export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export function envName(key: string): string {
  return `BERTH_${flagName(key).replaceAll("-", "_").toUpperCase()}`;
}

/** A switch in the environment is on for 1, true and yes. */
function switchText(option: Option<unknown>, text: string | undefined): string | boolean | undefined {
  if (text === undefined || option.value !== undefined) return text;
  return ["1", "true", "yes"].includes(text.toLowerCase());
}

/** Whole seconds within bounds, from text; the parsed value is a number of seconds. */
export function secondsOption(lowest: number, highest: number, standard: number): z.ZodType<number> {
  const fault = `a whole number of seconds from ${lowest} to ${highest}`;
  return z.coerce
    .number({ error: fault })
    .int(fault)
    .min(lowest, fault)
    .max(highest, fault)
    .default(standard);
}

export const switchSchema: z.ZodType<boolean> = z
  .boolean({ error: "a switch takes no value" })
  .default(false);

/** `host:port`, `[v6]:port` or `port` alone, which means 127.0.0.1. Port 0 lets the system choose. */
export function listenOption(standard: string): z.ZodType<ListenAddress> {
  return z
    .string({ error: "host:port" })
    .default(standard)
    .transform((text, context) => {
      const match = /^(?:(?:\[([0-9a-f:]+)\]|([^:[\]]+)):)?(\d{1,5})$/i.exec(text);
      const port = Number(match?.[3]);
      if (match !== null && port <= 65535) return { host: match[1] ?? match[2] ?? "127.0.0.1", port };
      context.addIssue({ code: "custom", message: `"${text}" is not host:port, such as 127.0.0.1:8053` });
      return z.NEVER;
    }) as unknown as z.ZodType<ListenAddress>;
}

export interface ListenAddress {
  host: string;
  port: number;
}

/**
 * An http(s) URL of scheme, host, port and path. A token must not cross a network in the clear, so http is for loopback only. The
 * faults do not repeat the text, which may hold a secret.
 */
export function urlOption(standard: string): z.ZodType<string> {
  return z
    .string({ error: "a URL" })
    .default(standard)
    .transform((text, context) => {
      const message = urlFault(text);
      if (message === undefined) return text;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }) as unknown as z.ZodType<string>;
}

/** URLs as `urlOption` takes them, after a comma each, in the order given: at least one, none twice. */
export function urlListOption(standard: string): z.ZodType<[string, ...string[]]> {
  return z
    .string({ error: "URLs" })
    .default(standard)
    .transform((text, context) => {
      const urls = text.split(",").map((part) => part.trim());
      const message = urls.map(urlFault).find((fault) => fault !== undefined) ?? repeatedFault(urls);
      if (message === undefined) return urls;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }) as unknown as z.ZodType<[string, ...string[]]>;
}

/** A resolver named twice would be asked twice before another one is. */
function repeatedFault(urls: string[]): string | undefined {
  const plain = urls.map((url) => new URL(url).href.replace(/\/+$/, ""));
  const repeated = urls.find((_, index) => plain.indexOf(plain[index] ?? "") !== index);
  return repeated === undefined ? undefined : `${repeated} is in it twice; give every resolver once`;
}

function urlFault(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const secure = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (url === undefined || !secure) {
    return "it is not an https URL (http is accepted for this machine's own addresses only)";
  }
  // As lookups may carry one; here it would show in the list of processes and in logs.
  if (/(^|\/)t\/[^/]/.test(pathText(url))) {
    return "a URL with a token in its path (/t/...); leave that out, and use --token-file";
  }
  // Paths are put behind it and logs show it. By the text, because the URL parser drops an empty query.
  if (url.username === "" && url.password === "" && !/[?#]/.test(text)) return undefined;
  return "a URL with credentials, a query or a fragment; give scheme, host, port and path only, as in https://resolver.example:8053";
}

/** Written in another way it would still be that path. */
function pathText({ pathname }: URL): string {
  return pathname.replace(/%74/g, "t").replace(/%2f/gi, "/");
}
