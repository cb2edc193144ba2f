import { type Context, Hono } from "hono";

import { backupType, maxBackupLength, type RestoreReport } from "../../shared/backup.ts";
import { BerthError } from "../../shared/errors.ts";
import { type AuditLog, entryOfCopy } from "../audit.ts";
import { type AccessEnv, adminOnly } from "./admin-only.ts";

/** Copies of the whole registry, for stores that have them. */
export interface BackupPort {
  /** One state of the registry, while others go on writing. Whoever takes the octets reads or cancels them. */
  backup(): Promise<RegistryCopy>;
  /** Takes over what such octets hold, or throws and changes nothing; a BerthError `bad-backup` when they are no copy. */
  restore(octets: ReadableStream<Uint8Array>): Promise<RestoreReport>;
}

export interface RegistryCopy {
  octets: ReadableStream<Uint8Array>;
  length: number;
}

export interface BackupParts {
  /** Missing where the store has copies of its own making. */
  backup?: BackupPort | undefined;
  audit: Pick<AuditLog, "record">;
  now: () => number;
  maxLength?: number;
}

/** The registry out and in as one file, mounted at /v1/backup. */
export function backupRoutes(parts: BackupParts): Hono<AccessEnv> {
  const { maxLength = maxBackupLength } = parts;
  return new Hono<AccessEnv>()
    .use(adminOnly)
    .get("/", async (context) => {
      const port = portOf(parts);
      const headers = { "content-type": backupType, "cache-control": "no-store, no-transform" };
      // A copy nobody reads is not worth making.
      if (context.req.raw.method === "HEAD") return context.body(null, 200, headers);
      const { octets, length } = await port.backup();
      // Nobody else would let go of the copy.
      await note(context, parts, "backup", "taken").catch(async (fault: unknown) => {
        await octets.cancel();
        throw fault;
      });
      const body = octets as ReadableStream<Uint8Array<ArrayBuffer>>;
      // By its length the client knows a whole copy: @hono/node-server ends a body that fails as if it were complete.
      return context.body(body, 200, { ...headers, "content-length": String(length) });
    })
    .put("/", async (context) => {
      const port = portOf(parts);
      const report = await port.restore(bounded(context.req.raw, maxLength));
      const { hosts, bindings, names, tokens } = report;
      const counts = `${hosts} hosts, ${bindings} bindings, ${names} names, ${tokens} tokens`;
      await note(context, parts, "restore", counts);
      return context.json(report);
    });
}

function portOf({ backup }: BackupParts): BackupPort {
  if (backup !== undefined) return backup;
  const message = "this resolver's store is not one SQLite file; back it up with its own tools";
  throw new BerthError("not-supported", message);
}

function note(
  context: Context<AccessEnv>,
  { audit, now }: BackupParts,
  action: "backup" | "restore",
  detail: string,
): Promise<void> {
  return audit.record([entryOfCopy(action, context.get("access"), detail, Math.floor(now()))]);
}

/** The body, as far as the limit: content-length may be missing or a lie. */
function bounded(request: Request, maxLength: number): ReadableStream<Uint8Array> {
  const tooLarge = () => new BerthError("body-too-large", `the copy is over ${maxLength} octets`);
  if (request.headers.get("content-type") !== backupType) {
    throw new BerthError("bad-content-type", `a copy of a registry needs "content-type: ${backupType}"`);
  }
  if (Number(request.headers.get("content-length")) > maxLength) throw tooLarge();
  if (request.body === null) throw new BerthError("bad-backup", "there is no copy in the body");
  let length = 0;
  const count = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      length += chunk.length;
      if (length > maxLength) throw tooLarge();
      controller.enqueue(chunk);
    },
  });
  return request.body.pipeThrough(count);
}
