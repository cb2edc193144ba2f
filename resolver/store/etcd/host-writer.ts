import type { Name } from "../../../shared/name.ts";
import { changedClaim, sameBindings } from "../../apply.ts";
import { grantHostLabel } from "../../grants.ts";
import { asDeclared, asGranted } from "../../own-names.ts";
import type { Plan } from "../../plan.ts";
import type { Claim, HostRecord } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import { type Chunk, chunksOf, type Declaration } from "./chunks.ts";
import { claimNames } from "./claim-names.ts";
import type { EtcdGateway } from "./gateway.ts";
import type { HoldKeeper } from "./hold-keeper.ts";
import { batchSize, type Head, type Keys } from "./layout.ts";
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
  /** What this resolver calls itself in the heads it writes. */
  carrier: string;
}

/**
 * Puts a host into etcd: names, chunks, and the head with its label last, which is what makes the rest count. False when another resolver
 * changed the host, or took the label, meanwhile: then it has to be judged anew. Resolves once the mirror shows what became of it.
 */
export async function writeHost(parts: WriterParts, plan: Plan): Promise<boolean> {
  const { mirror, registry } = parts;
  const { declared, turn } = plan;
  const { hostId } = plan.host;
  const host = withFreeLabel(mirror, plan.host);
  // As they are now, when the plan is made: whatever changes from here on fails the head.
  const judged = {
    headRevision: mirror.headRevision(hostId),
    labelRevision: labelRevision(mirror, host.hostLabel),
  };
  const chunks = chunksOf(declarationsFor(parts, plan), registry.digest);
  const leaseId = await leaseFor(parts, host);
  if (declared !== undefined) await claimNames(parts, host, declared.bindings);
  await putChunks(parts, hostId, leaseId, chunks);
  const { grantsRevision: _, ...record } = host;
  const hashes = chunks.map(({ hash }) => hash);
  const head = { host: record, sequence: turn.sequence, chunks: hashes, carrier: parts.carrier, leaseId };
  return putHead(parts, head, judged);
}

/** Removes all that etcd holds of a host. False when another resolver changed it meanwhile. */
export async function removeHost(parts: WriterParts, hostId: string): Promise<boolean> {
  const { gateway, keys, mirror } = parts;
  const modRevision = mirror.headRevision(hostId);
  if (modRevision === 0) return true;
  const label = mirror.heads.get(hostId)?.host.hostLabel;
  const success: Operation[] = [
    { kind: "delete", keys: { prefix: keys.hostPrefix(hostId) } },
    { kind: "put", key: keys.mark, value: "" },
  ];
  if (label !== undefined && mirror.labels.get(label)?.hostId === hostId)
    success.push({ kind: "delete", keys: { key: keys.label(label) } });
  const compare: Compare[] = [{ key: keys.head(hostId), is: "equal", modRevision }];
  const { succeeded, revision } = await gateway.txn({ compare, success });
  await mirror.until(
    succeeded ? () => mirror.revision >= revision : () => mirror.headRevision(hostId) !== modRevision,
  );
  return succeeded;
}

interface JudgedRevisions {
  headRevision: number;
  labelRevision: number;
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

/** What the plan brings, else what is held; each name with since when the host declares it. */
function declarationsFor({ mirror, registry }: WriterParts, plan: Plan): Declaration[] {
  const { tables, settings } = registry;
  const { host, held, declared } = plan;
  const known = plan.known ?? tables.claimsOfHost(host.hostId);
  if (declared === undefined) {
    return known.flatMap(({ since, bindings }) => {
      const said = bindings.map((binding) => asDeclared(binding, held ?? host, settings.zone));
      return said[0] === undefined ? [] : [{ name: said[0].name, since, bindings: said }];
    });
  }
  const claims = new Map(known.map((claim) => [claim.name, claim]));
  // Later than anything this resolver has seen; of what others write at the same moment the host id decides.
  const next = mirror.counters().revision + 1;
  return [...Map.groupBy(declared.bindings, ({ name }) => name)].map(([name, bindings]) => {
    const granted = bindings.map((binding) => asGranted(binding, host, settings.zone));
    return { name, bindings, since: sinceOf(claims, granted, host.hostId, next) };
  });
}

function sinceOf(
  claims: Map<Name, Claim>,
  bindings: Claim["bindings"],
  hostId: string,
  next: number,
): number {
  const before = claims.get(bindings[0]?.name as Name);
  if (before !== undefined && sameBindings(before.bindings, bindings)) return before.since;
  return changedClaim(before, { hostId, name: before?.name as Name, bindings, since: next }).since;
}

/** The lease the host is on, renewed; another one where it has none, lost it, or is granted another length. */
async function leaseFor({ gateway, mirror }: WriterParts, host: HostRecord): Promise<string> {
  const head = mirror.heads.get(host.hostId);
  if (head?.host.lease === host.lease && (await gateway.keepLeaseAlive(head.leaseId)) !== undefined)
    return head.leaseId;
  return (await gateway.grantLease(host.lease + graceSeconds)).lease;
}

/** Those that are not there yet. */
async function putChunks(parts: WriterParts, hostId: string, lease: string, chunks: Chunk[]): Promise<void> {
  const { gateway, keys, mirror } = parts;
  const there = mirror.hashesOn(hostId, lease);
  const missing = chunks.filter(({ hash }) => !there.has(hash));
  for (let from = 0; from < missing.length; from += chunksPerRequest) {
    const success = missing.slice(from, from + chunksPerRequest).map(({ hash, text }): Operation => {
      return { kind: "put", key: keys.chunk(hostId, lease, hash), value: text, lease };
    });
    await gateway.txn({ success });
  }
}

/** On condition that head and label are still those that were judged. What the head lists no longer goes with it. */
async function putHead(parts: WriterParts, head: Head, judged: JudgedRevisions): Promise<boolean> {
  const { gateway, keys, mirror } = parts;
  const { hostId, hostLabel } = head.host;
  const compare: Compare[] = [
    { key: keys.head(hostId), is: "equal", modRevision: judged.headRevision },
    { key: keys.label(hostLabel), is: "equal", modRevision: judged.labelRevision },
  ];
  const { succeeded, revision } = await gateway.txn({ compare, success: headOperations(parts, head) });
  // Of a condition that failed the mirror soon shows why.
  const isOutdated = () =>
    mirror.headRevision(hostId) !== judged.headRevision ||
    labelRevision(mirror, hostLabel) !== judged.labelRevision;
  await mirror.until(succeeded ? () => mirror.revision >= revision : isOutdated);
  return succeeded;
}

function headOperations({ keys, mirror }: WriterParts, head: Head): Operation[] {
  const { leaseId: lease, chunks } = head;
  const { hostId, hostLabel } = head.host;
  const operations: Operation[] = [
    { kind: "put", key: keys.head(hostId), value: encode(head), lease },
    // Stays when the head goes with its lease: a resolver that starts after that must not count from less.
    { kind: "put", key: keys.mark, value: "" },
  ];
  if (mirror.labels.get(hostLabel)?.leaseId !== lease)
    operations.push({ kind: "put", key: keys.label(hostLabel), value: hostId, lease });
  const before = mirror.heads.get(hostId)?.host.hostLabel;
  if (before !== undefined && before !== hostLabel && mirror.labels.get(before)?.hostId === hostId)
    operations.push({ kind: "delete", keys: { key: keys.label(before) } });
  // Past the bound they stay until the next push: a chunk that no head lists counts for nothing.
  const stale = mirror.chunkKeysBeside(hostId, lease, new Set(chunks));
  for (const key of stale.slice(0, batchSize - operations.length))
    operations.push({ kind: "delete", keys: { key } });
  return operations;
}
