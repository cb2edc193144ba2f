import { randomBytes } from "node:crypto";

import type { Log } from "../../../shared/log.ts";
import type { AuditLog } from "../../audit.ts";
import type { Change } from "../../changes.ts";
import { Registry, type RegistryParts } from "../../registry.ts";
import type { RegistrySettings } from "../../settings.ts";
import type { TokenTable, TokenWatch } from "../../token-table.ts";
import { createZone } from "../../zone/compiled-zone.ts";
import { makeGeneration, sha256Hex } from "../node-crypto.ts";
import { migrate, registrySteps } from "../schema.ts";
import { createSqlTables } from "../sql-tables.ts";
import { openMemoryDatabase } from "../sqlite-database.ts";
import { createCarriedLeases } from "./carried-leases.ts";
import { DeedRecord } from "./deed-record.ts";
import { Follower } from "./follow.ts";
import type { EtcdGateway } from "./gateway.ts";
import { HoldKeeper } from "./hold-keeper.ts";
import { keysFor } from "./layout.ts";
import { Mirror } from "./mirror.ts";
import { Pulse } from "./pulse.ts";
import { EtcdStore } from "./store.ts";
import { createEtcdTokenTable } from "./token-table.ts";
import { standardMirrorLimitMs, unavailable } from "./unavailable.ts";

export interface EtcdStoreOptions {
  settings: RegistrySettings;
  /** Milliseconds since 1970, from a clock that does not step. */
  now: () => number;
  /** Milliseconds from a clock that nobody sets: tells whether this process stood still (performance.now). */
  steadyNow?: () => number;
  /** How long our own watch may lag behind what etcd has told us, in milliseconds (5,000). */
  mirrorLimitMs?: number;
  /** The first part of every key. */
  root?: string;
  onCommitted?: (change: Change) => void;
  /** Told what this resolver did for others; each keeps its own record. */
  audit?: Pick<AuditLog, "record">;
  /** How long a name stays claimed for a push that never shows its bindings, in milliseconds (15,000). */
  claimingMs?: number;
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

const pulse = { everyMs: 1000, patienceMs: 3000 };

/**
 * The registry in etcd, for several resolvers at once. Waits for etcd as long as it takes, because a machine that starts them together
 * starts them in any order; rejects with what only a person can mend (`etcd-auth`, `etcd-untrusted`, `etcd-refused`). Owns the gateway, and
 * closes it when it rejects.
 */
export async function openEtcdStore(gateway: EtcdGateway, options: EtcdStoreOptions): Promise<OpenEtcdStore> {
  const closing = new AbortController();
  const signal = options.signal ? AbortSignal.any([closing.signal, options.signal]) : closing.signal;
  const built = build(gateway, options, closing.signal);
  try {
    await built.followerUntil(signal).readPatiently();
  } catch (fault) {
    closing.abort();
    gateway.close();
    throw fault;
  }
  const running = Promise.all([built.follower.run(), built.pulse.run()]);
  const { store, tokenTable, leases } = built;
  return {
    store,
    tokenTable,
    generation: () => leases.generation(),
    isAway: () => built.pulse.isAway,
    async close() {
      closing.abort();
      gateway.close();
      built.mirror.close();
      await running;
    },
  };
}

/** Everything there is, tied together; nothing runs yet. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: the parts need one another in a circle, which is to be seen in one place
function build(gateway: EtcdGateway, options: EtcdStoreOptions, closing: AbortSignal) {
  const { settings, now, log, watch, audit = { record: async () => undefined } } = options;
  const { mirrorLimitMs = standardMirrorLimitMs, steadyNow = () => performance.now() } = options;
  const keys = keysFor(settings.zone, options.root);
  const carrier = randomBytes(6).toString("hex");
  // A third of what the same takes in maps.
  const database = openMemoryDatabase();
  migrate(database.sql, "the registry in memory", registrySteps, now());
  const tables = createSqlTables(database.sql);
  const isAway = () => beat.isAway;
  const leases = createCarriedLeases({
    carrier,
    makeGeneration,
    standingOf(hostId) {
      const [head, turn] = [mirror.hosts.heads.get(hostId), mirror.hosts.turns.get(hostId)];
      return head === undefined || turn === undefined ? undefined : { ...turn, lease: head.host.lease };
    },
    isAway,
    now,
  });
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
      for (const hostId of change.hosts) followCarrier(hostId);
      options.onCommitted?.(change);
    },
  };
  const followCarrier = (hostId: string) => {
    const turn = mirror.hosts.turns.get(hostId);
    if (turn === undefined) leases.end(hostId);
    else if (turn.carrier !== carrier) leases.handOver(hostId);
  };
  const mirror: Mirror = new Mirror({
    keys,
    registry: registryParts,
    onNewLife: leases.renewGeneration,
    onRevoked: (tokenId) => watch?.announce(tokenId),
    patience: () => AbortSignal.timeout(mirrorLimitMs),
    log,
  });
  const holdMirror = {
    holdRevision: mirror.holdRevision.bind(mirror),
    hold: tables.hold,
    until: mirror.until.bind(mirror),
    revision: () => mirror.revision,
  };
  const holds = new HoldKeeper(gateway, keys, holdMirror, () => performance.now(), options.claimingMs);
  const makeLife = () => randomBytes(8).toString("hex");
  const followerUntil = (signal: AbortSignal) =>
    new Follower({ gateway, keys, mirror, wallClock: now, makeLife, log, signal });
  const follower = followerUntil(closing);
  const read = async () => {
    // Before it is asked: etcd is never behind what it told of once, unless it was restored.
    const known = mirror.revision;
    const { revision, items } = await gateway.range({ key: keys.meta });
    follower.checkLife(items[0]?.value, revision < known);
  };
  const beat: Pulse = new Pulse({ ...pulse, read, onReturn: leases.grantFresh, log, signal: closing });
  const store = new EtcdStore({
    gateway,
    keys,
    mirror,
    leases,
    registry: new Registry(registryParts),
    registryParts,
    holds,
    holdsEndingBy: tables.holdsEndingBy,
    pulse: beat,
    carrier,
    deeds: new DeedRecord(audit, Date.now, log),
    steadyNow,
    log,
  });
  const refuseWhileAway = () => {
    if (isAway()) throw unavailable();
  };
  const tokenTable = createEtcdTokenTable({ gateway, keys, mirror, audit, refuseWhileAway });
  return { store, tokenTable, leases, mirror, pulse: beat, follower, followerUntil };
}
