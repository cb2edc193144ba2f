import { BerthError } from "../../../shared/errors.ts";
import { isInZone, type Name } from "../../../shared/name.ts";
import { hostsApex } from "../../../shared/reserved.ts";
import { unfitness } from "../../fitness.ts";
import { grantHostLabel } from "../../grants.ts";
import { asGranted } from "../../own-names.ts";
import type { Plan } from "../../plan.ts";
import type { Hold, HostRecord } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import type { EtcdGateway } from "./gateway.ts";
import type { HoldKeeper } from "./hold-keeper.ts";
import { batchSize, type Chunk, chunksOf, encode, type Head, type Keys } from "./layout.ts";
import type { Mirror } from "./mirror.ts";
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
  /** What this resolver calls itself in the heads it writes. */
  carrier: string;
}

/**
 * Puts a host into etcd: label, names, chunks, and the head last, which is what makes the rest count. Returns etcd's revision of the head;
 * undefined when another resolver changed the host meanwhile: then it has to be judged anew.
 */
export async function writeHost(parts: WriterParts, plan: Plan): Promise<number | undefined> {
  const { host: planned, held, declared, turn } = plan;
  const known = parts.mirror.heads.get(planned.hostId);
  const keepsLease = known !== undefined && held?.lease === planned.lease;
  const leaseId = keepsLease ? known.head.leaseId : await grantLease(parts, planned.lease);
  const host = await claimLabel(parts, planned, leaseId);
  let { chunks } = known?.head ?? { chunks: [] };
  if (declared !== undefined || !keepsLease) {
    const texts =
      declared === undefined
        ? heldChunks(parts, planned.hostId, chunks)
        : chunksOf(declared.bindings, parts.registry.digest);
    chunks = texts.map(({ hash }) => hash);
    await claimNames(parts, host, plan);
    await putChunks(parts, host.hostId, leaseId, keepsLease ? missing(parts, host.hostId, texts) : texts);
  }
  const { grantsRevision: _, ...record } = host;
  const head: Head = { host: record, sequence: turn.sequence, chunks, carrier: parts.carrier, leaseId };
  return putHead(parts, head, known?.modRevision ?? 0);
}

/** Removes all that etcd holds of a host. False when another resolver changed it meanwhile. */
export async function removeHost(parts: WriterParts, hostId: string): Promise<boolean> {
  const { gateway, keys, mirror } = parts;
  const known = mirror.heads.get(hostId);
  if (known === undefined) return true;
  const key = keys.head(hostId);
  const { succeeded, revision, replies } = await gateway.txn({
    compare: [{ key, is: "equal", modRevision: known.modRevision }],
    success: [
      { kind: "delete", keys: { prefix: keys.hostPrefix(hostId) } },
      { kind: "delete", keys: { key: keys.label(known.head.host.hostLabel) } },
      { kind: "put", key: keys.mark, value: "" },
    ],
    failure: [{ kind: "get", keys: { key } }],
  });
  await seen(parts, succeeded, revision, hostId, replies);
  return succeeded;
}

async function grantLease({ gateway }: WriterParts, seconds: number): Promise<string> {
  return (await gateway.grantLease(seconds + graceSeconds)).lease;
}

/** The label may be claimed by another resolver at the same moment, before any head tells of it. */
async function claimLabel(parts: WriterParts, host: HostRecord, leaseId: string): Promise<HostRecord> {
  const { gateway, keys, registry } = parts;
  const taken = new Set<string>();
  let { hostLabel } = host;
  for (;;) {
    const key = keys.label(hostLabel);
    const put: Operation = { kind: "put", key, value: host.hostId, lease: leaseId };
    const isFree: Compare = { key, is: "equal", createRevision: 0 };
    const first = await gateway.txn({
      compare: [isFree],
      success: [put],
      failure: [{ kind: "get", keys: { key } }],
    });
    if (first.succeeded) break;
    const [reply] = first.replies;
    const item = reply?.kind === "get" ? reply.items[0] : undefined;
    if (item?.value === host.hostId) {
      if (item.lease === leaseId) break;
      const isOurs: Compare = { key, is: "equal", value: host.hostId };
      if ((await gateway.txn({ compare: [isOurs], success: [put] })).succeeded) break;
      continue;
    }
    taken.add(hostLabel);
    const isTaken = (label: string) =>
      taken.has(label) || (registry.tables.hostOfLabel(label)?.hostId ?? host.hostId) !== host.hostId;
    hostLabel = grantHostLabel(host.declaredLabel, host.hostId, isTaken);
  }
  return { ...host, hostLabel };
}

/** Claims what nobody holds yet. A limited token's names wait until all its claims can be looked at together. */
async function claimNames(parts: WriterParts, host: HostRecord, { declared }: Plan): Promise<void> {
  if (declared === undefined || host.scope.maxBindings !== null) return;
  const { tables, settings, now } = parts.registry;
  const granted = declared.bindings.map((binding) => asGranted(binding, host, settings.zone));
  const wanted: Hold[] = [];
  for (const [name, bindings] of Map.groupBy(granted, (binding) => binding.name)) {
    if (!isShared(settings.zone, name) || tables.hold(name) !== undefined) continue;
    const claim = { hostId: host.hostId, name, since: 0, bindings };
    if (unfitness(claim, host, settings) !== undefined) continue;
    const merges = bindings.every(({ rule }) => rule === "label" || rule === "compose");
    const { hostId, owner, hostLabel, tokenId } = host;
    wanted.push({ name, owner, ...(merges ? {} : { hostId }), hostLabel, tokenId, since: Math.floor(now()) });
  }
  await parts.holds.claim(wanted);
}

function isShared(zone: Name, name: Name): boolean {
  return isInZone(name, zone) && !isInZone(name, hostsApex(zone));
}

function heldChunks({ mirror }: WriterParts, hostId: string, hashes: string[]): Chunk[] {
  const held = mirror.chunksOf(hostId);
  return hashes.map((hash) => {
    const text = held.get(hash);
    if (text !== undefined) return { hash, text };
    throw new BerthError("store-unavailable", `etcd holds only a part of host ${hostId}`, {
      retryable: true,
    });
  });
}

/** Those that etcd does not hold yet. */
function missing({ mirror }: WriterParts, hostId: string, chunks: Chunk[]): Chunk[] {
  const held = mirror.chunksOf(hostId);
  return chunks.filter(({ hash }) => !held.has(hash));
}

async function putChunks(
  { gateway, keys }: WriterParts,
  hostId: string,
  lease: string,
  chunks: Chunk[],
): Promise<void> {
  for (let from = 0; from < chunks.length; from += chunksPerRequest) {
    const success = chunks
      .slice(from, from + chunksPerRequest)
      .map(
        ({ hash, text }): Operation => ({ kind: "put", key: keys.chunk(hostId, hash), value: text, lease }),
      );
    await gateway.txn({ success });
  }
}

/** On condition that the head is still the one that was judged. What it lists no longer goes with it. */
async function putHead(parts: WriterParts, head: Head, modRevision: number): Promise<number | undefined> {
  const { gateway, keys, mirror } = parts;
  const { hostId, hostLabel } = head.host;
  const key = keys.head(hostId);
  const listed = new Set(head.chunks);
  const stale = [...mirror.chunksOf(hostId).keys()].filter((hash) => !listed.has(hash));
  const success: Operation[] = [{ kind: "put", key, value: encode(head), lease: head.leaseId }];
  const before = mirror.heads.get(hostId)?.head.host.hostLabel;
  if (before !== undefined && before !== hostLabel)
    success.push({ kind: "delete", keys: { key: keys.label(before) } });
  // Past the bound they stay until the next push: a chunk that no head lists counts for nothing.
  for (const hash of stale.slice(0, batchSize - success.length))
    success.push({ kind: "delete", keys: { key: keys.chunk(hostId, hash) } });
  const { succeeded, revision, replies } = await gateway.txn({
    compare: [{ key, is: "equal", modRevision }],
    success,
    failure: [{ kind: "get", keys: { key } }],
  });
  await seen(parts, succeeded, revision, hostId, replies);
  return succeeded ? revision : undefined;
}

/** Waits until the mirror knows what the transaction did, or what was in its way. */
async function seen(
  { mirror }: WriterParts,
  succeeded: boolean,
  revision: number,
  hostId: string,
  replies: Awaited<ReturnType<EtcdGateway["txn"]>>["replies"],
): Promise<void> {
  const signal = AbortSignal.timeout(mirrorLimitMs);
  if (succeeded) return mirror.until(() => mirror.revision >= revision, signal);
  const [reply] = replies;
  const found = reply?.kind === "get" ? reply.items[0]?.modRevision : undefined;
  await mirror.until(
    () => (found === undefined ? !mirror.heads.has(hostId) : mirror.revision >= found),
    signal,
  );
}

/** How long our own watch may lag behind what etcd has told us. */
export const mirrorLimitMs = 5000;
