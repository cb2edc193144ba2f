import { readFileSync } from "node:fs";
import { Agent, type RequestOptions } from "node:https";
import { join } from "node:path";
import type { Duplex } from "node:stream";

import { BerthError } from "../../shared/errors.ts";

/**
 * Connections by TLS with the ca.pem, cert.pem and key.pem that lie in the folder at that moment, so that new ones need no restart. A
 * connection without readable ones is not made: `request` throws a BerthError `engine-unreachable` that names the file.
 */
export class FolderTlsAgent extends Agent {
  readonly #folder: string;

  constructor(folder: string) {
    // No sessions: one taken up again is not held against the ca.pem of now. Said aloud, because NODE_TLS_REJECT_UNAUTHORIZED=0 would trust anybody.
    super({ keepAlive: false, maxCachedSessions: 0, rejectUnauthorized: true });
    this.#folder = folder;
  }

  override createConnection(
    options: RequestOptions,
    callback?: (fault: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    const read = (file: string): string => readFrom(this.#folder, file);
    const certificates = { ca: read("ca.pem"), cert: read("cert.pem"), key: read("key.pem") };
    return super.createConnection({ ...options, ...certificates }, callback);
  }
}

function readFrom(folder: string, file: string): string {
  const path = join(folder, file);
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const message = `--engine: ${path} cannot be read; tls names the folder of ca.pem, cert.pem and key.pem, which the agent's user must be able to read`;
    const facts = { gone: false };
    throw new BerthError("engine-unreachable", message, { who: path, retryable: true, facts, cause });
  }
}
