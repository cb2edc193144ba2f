import { z } from "zod";

import { type ConfigOf, type Option, type Options, readConfig, urlListOption } from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";
import { oneLine } from "../shared/log.ts";
import { printableJson } from "../shared/printable-json.ts";
import type { ResolverAccess } from "../shared/resolver-client.ts";
import { caOption } from "./command.ts";
import { askWhetherItRuns, isUnreachable, readToken } from "./resolver-access.ts";
import { statePaths } from "./state.ts";
import { fetchTrusting } from "./trust.ts";

/** What every command has that asks a resolver as its operator. */
export const adminOptions = {
  resolver: {
    schema: urlListOption("https://127.0.0.1:8053"),
    value: "URL,...",
    help: "the resolver to ask, or several: the first that answers (https://127.0.0.1:8053)",
  },
  tokenFile: {
    schema: z.string({ error: "a file" }),
    value: "FILE",
    help: "a file with an admin's token (this machine's own resolver's admin.token)",
  },
  ...caOption,
} satisfies Options;
export type AdminConfig = ConfigOf<typeof adminOptions>;

export const jsonOption = {
  json: {
    schema: z.boolean().default(false) as z.ZodType<boolean>,
    help: "print the resolver's own reply instead of lines for people",
  },
} satisfies Record<string, Option<unknown>>;

/** The command's options, which hold `adminOptions`, from its flags and the environment. */
export function readAdminConfig<O extends Options>(
  options: O,
  flags: Record<string, string | boolean>,
): ConfigOf<O> {
  return readConfig(options, flags, process.env, { tokenFile: statePaths().adminTokenFile });
}

/**
 * What the first resolver that answers says to `ask`; its faults say what to mend on this machine. `own` is where a resolver of this
 * machine keeps the token that is wanted.
 */
export async function askResolver<T>(
  config: AdminConfig,
  ask: (access: ResolverAccess<Response>) => Promise<T>,
  own = statePaths().adminTokenFile,
): Promise<T> {
  const fetch = fetchTrusting(config.ca ?? statePaths().caFile, config.ca !== undefined);
  const token = readToken(config.tokenFile, own);
  let noReply: unknown;
  for (const url of config.resolver) {
    try {
      return await ask({ fetch, url, token, timeoutMs: 10_000 });
    } catch (fault) {
      if (!isUnreachable(fault)) throw aboutToken(fault, config.tokenFile);
      noReply = fault;
    }
  }
  return askWhetherItRuns(noReply);
}

/** A refused token is a matter of the file it came from. */
export function aboutToken(fault: unknown, file: string): unknown {
  if (!(fault instanceof BerthError)) return fault;
  const mend = mendByCode[fault.code];
  if (mend === undefined) return fault;
  const { code, message, who, retryable, facts } = fault;
  return new BerthError(code, `${message}; the token of ${file} was sent, ${mend}`, {
    who,
    retryable,
    facts,
  });
}

const another = "and --token-file names another file";
const admins =
  "and an admin's is needed: admin.token in the resolver's state directory, or one made with berth token create --kind admin";
const mendByCode: Record<string, string> = {
  "token-not-allowed": admins,
  // What an agent may do, it does by its host's key.
  "bad-signature": admins,
  "unknown-token": another,
  "token-expired": another,
  "token-revoked": another,
};

/** Text for the command's stdout, all of it or a fault: a full disk behind `>` must not pass for success. */
export async function writeOut(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (cause) => {
      if (!cause) resolve();
      else reject(new BerthError("cannot-write", "the output could not be written", { cause }));
    });
  });
}

/** One line on stderr, whatever somebody else's words in it would do there. */
export function note(text: string): void {
  process.stderr.write(`berth: ${oneLine(text)}\n`);
}

export async function printJson(reply: unknown): Promise<number> {
  await writeOut(`${printableJson(reply, 2)}\n`);
  return 0;
}

export async function printLines(lines: string[]): Promise<number> {
  await writeOut(`${lines.join("\n")}\n`);
  return 0;
}
