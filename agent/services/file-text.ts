import { open, stat } from "node:fs/promises";

import { BerthError } from "../../shared/errors.ts";

const mostBytes = 256 * 1024;

/** Is given every call to the file system; what the call comes to. */
export type Heard = <R>(call: Promise<R>) => Promise<R>;

/** The text of a file of services, of at most 256 KiB. Throws what describes why it cannot be read: a BerthError, or Node's own fault. */
export async function textOf(path: string, heard: Heard): Promise<string> {
  // A pipe in its place would block whoever opens it.
  if (!(await heard(stat(path))).isFile())
    throw new BerthError("bad-service-file", "it is not a regular file");
  const file = await heard(open(path, "r"));
  try {
    const { size } = await heard(file.stat());
    if (size > mostBytes) {
      const message = `it has ${size} bytes, and a file of services at most ${mostBytes}; divide it`;
      throw new BerthError("bad-service-file", message);
    }
    const bytes = await heard(file.readFile());
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (fault) {
    if (!(fault instanceof TypeError)) throw fault;
    throw new BerthError("bad-service-file", "it is not UTF-8 text");
  } finally {
    await file.close();
  }
}
