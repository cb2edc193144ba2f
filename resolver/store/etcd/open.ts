import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";

import { BerthError, describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { AuditLog } from "../../audit.ts";
import type { Change } from "../../changes.ts";
import { Registry, type RegistryParts } from "../../registry.ts";
import type { RegistrySettings } from "../../settings.ts";
import type { TokenTable, TokenWatch } from "../../token-table.ts";
import { createZone } from "../../zone/compiled-zone.ts";
import { createMemoryTables } from "../memory-tables.ts";
import { makeGeneration, sha256Hex } from "../node-crypto.ts";
import { createCarriedLeases } from "./carried-leases.ts";
import { type FollowParts, followEtcd, readWhole } from "./follow.ts";
import type { EtcdGateway } from "./gateway.ts";
import { HoldKeeper } from "./hold-keeper.ts";
import { mirrorLimitMs } from "./host-writer.ts";
import { keysFor } from "./layout.ts";
import { Mirror } from "./mirror.ts";
import { Pulse } from "./pulse.ts";
import { EtcdStore } from "./store.ts";
import { createEtcdTokenTable } from "./token-table.ts";

export interface EtcdStoreOptions {
  settings: RegistrySettings;
  /** Milliseconds since 1970, from a clock that does not step. */
  now: () => number;
  /** The first part of every key. */
  root?: string;
  onCommitted?: (change: Change) => void;
  /** Told what this resolver did for others; each keeps its own record. */
  audit?: Pick<AuditLog, "record">;
  /** Told of revoked tokens, whichever resolver revoked them. */
  watch?: TokenWatch;
  log: Log;
  /** Gives up waiting for an etcd that does not answer. */
  signal?: AbortSignal;
}

export interface OpenEtcdStore {
  store: EtcdStore;
  tokenTable: TokenTable;
  /** What requests have to be signed for. */
  generation(): string;
  /** Whether etcd answers. */
  isAway(): boolean;
  close(): Promise<void>;
}

const pulseMs = 1000;
const retryMs = 2000;

/**
 * The registry in etcd, for several resolvers at once. Waits for etcd as long as it takes, because a machine that starts them together
 * starts them in any order; rejects with what only a person can mend (`etcd-auth`, `etcd-untrusted`, `etcd-refused`). Owns the gateway.
 */
export async function openEtcdStore(gateway: EtcdGateway, options: EtcdStoreOptions): Promise<OpenEtcdStore> {
  const { settings, now, log } = options;
  const keys = keysFor(settings.zone, options.root);
  const carrier = randomBytes(6).toString("hex");
  const tables = createMemoryTables();
  const leases = createCarriedLeases(
    carrier,
    makeGeneration,
    (hostId) => mirror.heads.get(hostId)?.head,
    now,
  );
  const registryParts: RegistryParts = {
    // Only what is read from etcd ends a hold here.
    tables: {
      ...tables,
      nextHoldEnd: () => undefined,
      keptByToken: (tokenId) => tables.keptByToken(tokenId) + holds.soonKept(tokenId),
    },
    leases,
    zone: createZone(tables, settings),
    settings,
    now,
    digest: sha256Hex,
    nextCounters: () => mirror.counters(),
    keepHold: (settled) => holds.note(settled),
    onCommitted(change) {
      for (const hostId of change.hosts) if (tables.host(hostId) === undefined) leases.end(hostId);
      options.onCommitted?.(change);
    },
  };
  const onToken = (id: string, isRevoked: boolean) => {
    if (isRevoked) options.watch?.announce(id);
  };
  const mirror: Mirror = new Mirror({ keys, registry: registryParts, onToken });
  const holds = new HoldKeeper(
    gateway,
    keys,
    {
      holdRevision: (name) => mirror.holdRevision(name),
      hold: (name) => tables.hold(name),
      until: (isTrue) => mirror.until(isTrue, AbortSignal.timeout(mirrorLimitMs)),
      get revision() {
        return mirror.revision;
      },
    },
    () => performance.now(),
  );
  const closing = new AbortController();
  const signal =
    options.signal === undefined ? closing.signal : AbortSignal.any([closing.signal, options.signal]);
  const follow: FollowParts = { gateway, keys, mirror, wallClock: now, log, signal };
  await readPatiently(follow);
  const pulse: Pulse = new Pulse({
    read: () => gateway.range({ key: keys.meta }),
    onReturn: () => store.resumeLeases(),
    everyMs: pulseMs,
    now: () => performance.now(),
    log,
    signal: closing.signal,
  });
  const store = new EtcdStore({
    gateway,
    keys,
    mirror,
    leases,
    registry: new Registry(registryParts),
    registryParts,
    holds,
    holdsEndingBy: (at) => tables.holdsEndingBy(at),
    pulse,
    carrier,
    audit: options.audit ?? { record: async () => undefined },
    log,
  });
  const running = Promise.all([followEtcd({ ...follow, signal: closing.signal }), pulse.run()]);
  return {
    store,
    tokenTable: createEtcdTokenTable(gateway, keys, mirror, options.audit),
    generation: () => leases.generation(),
    isAway: () => pulse.isAway,
    async close() {
      closing.abort();
      gateway.close();
      await running;
    },
  };
}

async function readPatiently(follow: FollowParts): Promise<void> {
  const { log, signal } = follow;
  for (let attempt = 1; ; attempt++) {
    try {
      signal.throwIfAborted();
      return await readWhole(follow);
    } catch (fault) {
      if (signal.aborted || !(fault instanceof BerthError && fault.retryable)) throw fault;
      if (attempt === 1) log.warn(`waiting for etcd: ${describeFault(fault)}`);
      await pause(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
