import { readFile, stat } from "node:fs/promises";

import { BerthError } from "../../shared/errors.ts";

/**
 * The token in the file at `path`, read when it is first wanted, when the file changed since, and when `again` says that what it held
 * was refused. Rejects with a BerthError `no-token` that names the file.
 */
export function createTokenFile(path: string): (again: boolean) => Promise<string> {
  let held: { stamp: string; token: string } | undefined;
  return async function read(again) {
    try {
      // Before the content: a change between the two is then seen the next time.
      const stamp = await stampOf(path);
      if (again || held?.stamp !== stamp) held = { stamp, token: (await readFile(path, "utf8")).trim() };
    } catch (cause) {
      throw new BerthError("no-token", `the token file ${path} cannot be read`, {
        who: path,
        retryable: true,
        cause,
      });
    }
    // A header takes visible ASCII only; fetch would say so without naming the file.
    if (/^[\x21-\x7e]+$/.test(held.token)) return held.token;
    throw new BerthError("no-token", `the token file ${path} holds no token`, { who: path, retryable: true });
  };
}

/** A file that was written anew or put in another's place has another one. */
async function stampOf(path: string): Promise<string> {
  const { mtimeNs, size, ino } = await stat(path, { bigint: true });
  return `${mtimeNs} ${size} ${ino}`;
}
