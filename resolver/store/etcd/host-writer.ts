import { grantHostLabel } from "../../grants.ts";
import type { Plan } from "../../plan.ts";
import type { HostRecord } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import { type Chunk, chunksOf } from "./chunks.ts";
import { claimNames } from "./claim-names.ts";
import { declarationsFor } from "./declared-since.ts";
import type { EtcdGateway } from "./gateway.ts";
import type { HostRevisions } from "./held-hosts.ts";
import type { HoldKeeper } from "./hold-keeper.ts";
import { batchSize, type Head, type HostTurn, type Keys } from "./layout.ts";
import type { Mirror } from "./mirror.ts";
import { encode } from "./values.ts";
import type { Compare, Operation } from "./wire.ts";

/** Seconds a host's keys outlive its lease in etcd: the resolver that carries it ends it in time, another needs that long to take over. */
export const graceSeconds = 5;
/** Chunks of one request: 12 of 60 KiB stay well below etcd's 1.5 MiB. */
const chunksPerRequest = 12;

export interface WriterParts {
  gateway: EtcdGateway;
  keys: Keys;
  mirror: Mirror;
  registry: RegistryParts;
  holds: HoldKeeper;
  /** What this resolver calls itself in the turns it writes. */
  carrier: string;
  /** Told of the revision of each mark that was written, once the mirror has it. */
  marked(revision: number): Promise<void>;
}

/**
 * Puts a host into etcd: names, chunks, and the head with its label last, which is what makes the rest count. False when another resolver changed the host, or took the label, meanwhile: then it has to be judged anew. Resolves once the
 * mirror shows what became of it.
 */
export async function writeHost(parts: WriterParts, plan: Plan): Promise<boolean> {
  const { mirror, registry } = parts;
  const { declared, turn } = plan;
  const { hostId } = plan.host;
  const host = withFreeLabel(mirror, plan.host);
  // As they are now, when the plan is made: whatever changes from here on fails the head.
  const judged = {
    host: mirror.hosts.revisionsOf(hostId),
    label: labelRevision(mirror, host.hostLabel),
  };
  const chunks = chunksOf(declarationsFor(mirror, registry, plan), registry.digest);
  const leaseId = await leaseFor(parts, host);
  if (declared !== undefined) await claimNames(parts, host, declared.bindings);
  await putChunks(parts, hostId, leaseId, chunks);
  const { grantsRevision: _, epoch: __, ...record } = host;
  const head = { host: record, chunks: chunks.map(({ hash }) => hash), leaseId };
  return putHead(parts, head, { ...turn, carrier: parts.carrier }, judged);
}

/**
 * Lets a host go on as it is, its lease renewed, under another epoch or carried by this resolver from now on. False when another one
 * changed it meanwhile, or its lease is over: the mirror shows that by then.
 */
export async function continueHost(parts: WriterParts, { host, turn }: Plan): Promise<boolean> {
  const { gateway, keys, mirror, carrier } = parts;
  const { hostId } = host;
  const judged = mirror.hosts.revisionsOf(hostId);
  const lease = mirror.hosts.heads.get(hostId)?.leaseId ?? "0";
  const isAlive = (await gateway.keepLeaseAlive(lease)) !== undefined;
  const value = encode({ ...turn, carrier });
  const compare = sameHost(keys, hostId, judged);
  const put: Operation = { kind: "put", key: keys.turn(hostId), value, lease };
  const { succeeded, revision } = isAlive
    ? await gateway.txn({ compare, success: [put] })
    : { succeeded: false, revision: 0 };
  await mirror.until(() => (succeeded ? mirror.revision >= revision : isOutdated(mirror, hostId, judged)));
  return succeeded;
}

/** Removes all that etcd holds of a host. False when another resolver changed it meanwhile. */
export async function removeHost(parts: WriterParts, hostId: string): Promise<boolean> {
  const { gateway, keys, mirror } = parts;
  const judged = mirror.hosts.revisionsOf(hostId);
  if (judged.head === 0) return true;
  const label = mirror.hosts.heads.get(hostId)?.host.hostLabel;
  const success: Operation[] = [
    { kind: "delete", keys: { prefix: keys.hostPrefix(hostId) } },
    { kind: "put", key: keys.mark, value: "" },
  ];
  if (label !== undefined && mirror.labels.get(label)?.hostId === hostId)
    success.push({ kind: "delete", keys: { key: keys.label(label) } });
  const { succeeded, revision } = await gateway.txn({ compare: sameHost(keys, hostId, judged), success });
  await mirror.until(() => (succeeded ? mirror.revision >= revision : isOutdated(mirror, hostId, judged)));
  if (succeeded) await parts.marked(revision);
  return succeeded;
}

interface JudgedRevisions {
  host: HostRevisions;
  label: number;
}

/** The condition that nobody has written the host since it was judged. */
function sameHost(keys: Keys, hostId: string, { head, turn }: HostRevisions): Compare[] {
  return [
    { key: keys.head(hostId), is: "equal", modRevision: head },
    { key: keys.turn(hostId), is: "equal", modRevision: turn },
  ];
}

function isOutdated(mirror: Mirror, hostId: string, judged: HostRevisions): boolean {
  const { head, turn } = mirror.hosts.revisionsOf(hostId);
  return head !== judged.head || turn !== judged.turn;
}

function labelRevision({ labels }: Mirror, label: string): number {
  return labels.get(label)?.modRevision ?? 0;
}

/** A label can be another host's in etcd though the tables do not show it: of one that is there in part only. */
function withFreeLabel({ labels }: Mirror, host: HostRecord): HostRecord {
  const isTaken = (label: string) => (labels.get(label)?.hostId ?? host.hostId) !== host.hostId;
  if (!isTaken(host.hostLabel)) return host;
  return { ...host, hostLabel: grantHostLabel(host.declaredLabel, host.hostId, isTaken) };
}

/** The lease the host is on, renewed; another one where it has none, lost it, or is granted another length. */
async function leaseFor({ gateway, mirror }: WriterParts, host: HostRecord): Promise<string> {
  const head = mirror.hosts.heads.get(host.hostId);
  if (head?.host.lease === host.lease && (await gateway.keepLeaseAlive(head.leaseId)) !== undefined)
    return head.leaseId;
  return (await gateway.grantLease(host.lease + graceSeconds)).lease;
}

/** Those that are not there yet. */
async function putChunks(parts: WriterParts, hostId: string, lease: string, chunks: Chunk[]): Promise<void> {
  const { gateway, keys, mirror } = parts;
  const there = mirror.hosts.hashesOn(hostId, lease);
  const missing = chunks.filter(({ hash }) => !there.has(hash));
  for (let from = 0; from < missing.length; from += chunksPerRequest) {
    const success = missing.slice(from, from + chunksPerRequest).map(({ hash, text }): Operation => {
      return { kind: "put", key: keys.chunk(hostId, lease, hash), value: text, lease };
    });
    await gateway.txn({ success });
  }
}

/** On condition that host and label are still those that were judged. What the head lists no longer goes with it. */
async function putHead(
  parts: WriterParts,
  head: Head,
  turn: HostTurn,
  judged: JudgedRevisions,
): Promise<boolean> {
  const { gateway, keys, mirror } = parts;
  const { hostId, hostLabel } = head.host;
  const compare: Compare[] = [
    ...sameHost(keys, hostId, judged.host),
    { key: keys.label(hostLabel), is: "equal", modRevision: judged.label },
  ];
  const { succeeded, revision } = await gateway.txn({ compare, success: headOperations(parts, head, turn) });
  // Of a condition that failed the mirror soon shows why.
  const isToBeJudgedAnew = () =>
    isOutdated(mirror, hostId, judged.host) || labelRevision(mirror, hostLabel) !== judged.label;
  await mirror.until(() => (succeeded ? mirror.revision >= revision : isToBeJudgedAnew()));
  if (succeeded) await parts.marked(revision);
  return succeeded;
}

function headOperations({ keys, mirror }: WriterParts, head: Head, turn: HostTurn): Operation[] {
  const { leaseId: lease, chunks } = head;
  const { hostId, hostLabel } = head.host;
  const operations: Operation[] = [
    { kind: "put", key: keys.head(hostId), value: encode(head), lease },
    { kind: "put", key: keys.turn(hostId), value: encode(turn), lease },
    // Stays when the head goes with its lease: a resolver that starts after that must not count from less.
    { kind: "put", key: keys.mark, value: "" },
  ];
  if (mirror.labels.get(hostLabel)?.leaseId !== lease)
    operations.push({ kind: "put", key: keys.label(hostLabel), value: hostId, lease });
  const before = mirror.hosts.heads.get(hostId)?.host.hostLabel;
  if (before !== undefined && before !== hostLabel && mirror.labels.get(before)?.hostId === hostId)
    operations.push({ kind: "delete", keys: { key: keys.label(before) } });
  // Past the bound they stay until the next push: a chunk that no head lists counts for nothing.
  const stale = mirror.hosts.chunkKeysBeside(hostId, lease, new Set(chunks));
  for (const key of stale.slice(0, batchSize - operations.length))
    operations.push({ kind: "delete", keys: { key } });
  return operations;
}
