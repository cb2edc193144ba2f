import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";

import { BerthError } from "../shared/errors.ts";

/**
 * The token in `file`. `own` is where a resolver of this machine keeps the one that is wanted. Throws a BerthError `bad-config` without a
 * word of what the file holds.
 */
export function readToken(file: string, own: string): string {
  const mend = `name the file with --token-file; the resolver keeps ${basename(own)} in its state directory`;
  let text: string;
  try {
    text = readFileSync(file, "utf8").trim();
  } catch (cause) {
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (file === own && isMissing) throw new BerthError("bad-config", noResolverHere(own), { who: file });
    throw new BerthError("bad-config", `cannot read the token in ${file} (${mend})`, { who: file, cause });
  }
  // A header takes visible ASCII only; fetch would say so with the token in its message.
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new BerthError("bad-config", `the token file ${file} holds no token (${mend})`, { who: file });
}

function noResolverHere(own: string): string {
  const elsewhere = "berth up starts one, --resolver and --token-file name another";
  return `no resolver was started on this machine (${dirname(own)} has no ${basename(own)}); ${elsewhere}`;
}

/** Throws what was caught, with the question to ask first where no resolver answered. */
export function askWhetherItRuns(fault: unknown): never {
  if (!isUnreachable(fault)) throw fault;
  const { code, who, retryable, cause } = fault;
  throw new BerthError(code, `${fault.message}; is it running?`, { who, retryable, cause });
}

export function isUnreachable(fault: unknown): fault is BerthError {
  return fault instanceof BerthError && fault.code === "resolver-unreachable";
}
