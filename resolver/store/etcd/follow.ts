import { setTimeout as pause } from "node:timers/promises";

import { BerthError, describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { EtcdGateway } from "./gateway.ts";
import { encode, type Keys, type Meta } from "./layout.ts";
import type { Mirror } from "./mirror.ts";

export interface FollowParts {
  gateway: EtcdGateway;
  keys: Keys;
  mirror: Mirror;
  /** Milliseconds since 1970: what the SOA's serial is first counted from. */
  wallClock: () => number;
  log: Log;
  signal: AbortSignal;
}

const retryMs = 1000;

/** Reads all that etcd holds into the mirror. Rejects with what the gateway says. */
export async function readWhole({ gateway, keys, mirror, wallClock }: FollowParts): Promise<void> {
  const { revision } = await gateway.range({ key: keys.meta });
  const meta: Meta = { serialBase: Math.floor(wallClock() / 1000) - revision };
  await gateway.txn({
    compare: [{ key: keys.meta, is: "equal", createRevision: 0 }],
    success: [{ kind: "put", key: keys.meta, value: encode(meta) }],
  });
  // Hosts' values are large and few, all others small and many; all as of one revision.
  const small = { pageSize: 1000 };
  const hosts = await gateway.range({ prefix: keys.hosts });
  const before = await gateway.range(
    { from: keys.prefix, to: keys.hosts },
    { ...small, revision: hosts.revision },
  );
  const after = await gateway.range(
    { from: `${keys.hosts}\x7f`, to: `${keys.prefix}\x7f` },
    { ...small, revision: hosts.revision },
  );
  mirror.replace([...before.items, ...hosts.items, ...after.items], hosts.revision);
}

/**
 * Keeps the mirror after etcd until the signal aborts: watches from where the mirror is, and reads everything anew where the history has a
 * gap (compacted, or restored from a backup). Answers go on from what the mirror holds meanwhile.
 */
export async function followEtcd(parts: FollowParts): Promise<void> {
  const { gateway, keys, mirror, log, signal } = parts;
  const listener = {
    signal,
    onEvents: (revision: number, events: Parameters<Mirror["apply"]>[0]) => mirror.apply(events, revision),
    onProgress: (revision: number) => mirror.progress(revision),
  };
  while (!signal.aborted) {
    try {
      await gateway.watch({ prefix: keys.prefix }, mirror.revision + 1, listener);
    } catch (fault) {
      if (signal.aborted) return;
      const isGap = fault instanceof BerthError && fault.code === "etcd-compacted";
      log.warn(`${isGap ? "reading etcd anew" : "the watch of etcd ended"}: ${describeFault(fault)}`);
      await rereadUntilDone(parts);
    }
  }
}

async function rereadUntilDone(parts: FollowParts): Promise<void> {
  const { log, signal } = parts;
  while (!signal.aborted) {
    try {
      return await readWhole(parts);
    } catch (fault) {
      log.warn(`cannot read etcd: ${describeFault(fault)}`);
      await pause(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
