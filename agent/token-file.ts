import { readFile } from "node:fs/promises";

import { BerthError } from "../shared/errors.ts";

/** A file on a network's disk, or a pipe, may never answer. */
const readLimitMs = 5_000;
/** A read that hangs cannot be called off and holds a thread, of which there are few; so the next one waits for it. */
const underWay = new Map<string, Promise<string>>();

/** The token in the file at `path`. Throws a BerthError `no-token` that names the file, and never what is in it; also after 5 s without an answer. */
export async function readToken(path: string): Promise<string> {
  const mend =
    "the resolver makes the agent's token at its first start; copy it here, or name its file with --token-file";
  let text: string;
  try {
    text = (await readWithin(path)).trim();
  } catch (cause) {
    throw new BerthError("no-token", `the token file ${path} cannot be read: ${mend}`, {
      who: path,
      retryable: true,
      cause,
    });
  }
  // A header takes visible ASCII only; fetch would say so without naming the file.
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new BerthError("no-token", `the token file ${path} holds no token: ${mend}`, {
    who: path,
    retryable: true,
  });
}

async function readWithin(path: string): Promise<string> {
  const reading = underWay.get(path) ?? readFile(path, "utf8").finally(() => underWay.delete(path));
  underWay.set(path, reading);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const fault = new Error(`no answer within ${readLimitMs / 1000} s`);
    timer = setTimeout(() => reject(fault), readLimitMs);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}
