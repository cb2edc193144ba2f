import { readFile } from "node:fs/promises";

import { BerthError } from "../shared/errors.ts";

/** The token in the file at `path`. Throws a BerthError `no-token` that names the file, and never what is in it. */
export async function readToken(path: string): Promise<string> {
  const mend =
    "the resolver makes the agent's token at its first start; copy it here, or name its file with --token-file";
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
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
