import type { Declared, Delta, Push, PushReply, Renewal, Turn } from "../shared/binding.ts";
import { canonicalText } from "../shared/digest.ts";
import type { Name } from "../shared/name.ts";
import { type Access, allowsHost } from "./access.ts";
import { sameRights, sameStanding } from "./apply.ts";
import { declaredAfter } from "./delta.ts";
import { hostRecordFrom } from "./host-record.ts";
import { grantLease } from "./leases.ts";
import type { Claim, Hold, HostRecord } from "./records.ts";
import type { RegistryParts } from "./registry.ts";
import type { ReleaseOutcome, TurnOutcome } from "./store.ts";
import type { Tables } from "./tables.ts";
import { goesOnFrom, isSuperseded, type TurnTaken } from "./turns.ts";

/** What a turn leads to that is the host's to take: nothing of it is done yet. */
export interface Plan {
  /** As it will be. */
  host: HostRecord;
  /** As it is. */
  held: HostRecord | undefined;
  turn: TurnTaken;
  /** The least that has to be written: the whole set, the record that answers follow from, the epoch alone, or nothing at all. */
  writes: "set" | "record" | "epoch" | "nothing";
  /** What the host declares; absent where the set that is held stays. */
  declared?: Declared;
  /** The claims that are held, where they were looked up already. */
  known?: Claim[];
}

type JudgedParts = Pick<RegistryParts, "tables" | "leases" | "settings" | "digest" | "now">;

export function planPush(parts: JudgedParts, hostId: string, push: Push, access: Access): Plan | TurnOutcome {
  const held = parts.tables.host(hostId);
  const refused = refuse(parts, hostId, held, push, access, push.declared.hostLabel);
  return refused ?? planSet(parts, hostId, held, push, access);
}

export function planDelta(
  parts: JudgedParts,
  hostId: string,
  delta: Delta,
  access: Access,
): Plan | TurnOutcome {
  const held = parts.tables.host(hostId);
  const refused = refuse(parts, hostId, held, delta, access, delta.declared.hostLabel);
  if (refused !== undefined) return refused;
  if (held === undefined || !goesOnFrom(held, delta, delta.base)) return { kind: "unknown-digest" };
  const known = parts.tables.claimsOfHost(hostId);
  const declared = declaredAfter(delta, known, held, parts.settings.zone);
  if (declared === undefined || parts.digest(canonicalText(declared)) !== delta.digest)
    return { kind: "wrong-digest" };
  const plan = planSet(parts, hostId, held, { ...delta, declared }, access);
  return "kind" in plan ? plan : { ...plan, known };
}

/** A renewal under a token of other rights is answered as an unknown set: its push tells what follows from them. */
export function planRenewal(
  parts: JudgedParts,
  hostId: string,
  renewal: Renewal,
  access: Access,
): Plan | TurnOutcome {
  const held = parts.tables.host(hostId);
  const refused = refuse(parts, hostId, held, renewal, access, held?.declaredLabel);
  if (refused !== undefined) return refused;
  if (held === undefined || !goesOnFrom(held, renewal, renewal.digest) || !sameRights(held, access))
    return { kind: "unknown-digest" };
  const { scope } = held;
  const lease = grantLease(renewal.lease, parts.settings.leaseLimits, { ...access, scope }, parts.now());
  const host = { ...held, lease };
  return { host, held, turn: turnOf(renewal), writes: lease === held.lease ? "nothing" : "record" };
}

/** Of a host that is gone too; after a start on a file its sequence is forgotten, and its generation with it. */
export function lastTurn(
  { leases }: JudgedParts,
  hostId: string,
  held: HostRecord | undefined,
): TurnTaken | undefined {
  return leases.get(hostId) ?? (held === undefined ? undefined : { ...held, sequence: 0 });
}

/** Undefined for a request that was signed for this life of the registry and is later than all it answered. */
export function refuseTurn(
  parts: JudgedParts,
  hostId: string,
  held: HostRecord | undefined,
  turn: Turn,
): Extract<TurnOutcome, { kind: "superseded" | "unknown-generation" }> | undefined {
  const generation = parts.leases.generation();
  if (turn.generation !== generation) return { kind: "unknown-generation", generation };
  const last = lastTurn(parts, hostId, held);
  if (last === undefined || !isSuperseded(last, turn)) return undefined;
  return { kind: "superseded", heldEpoch: last.epoch, leaseRemaining: leaseRemaining(parts, hostId) };
}

/** What a host whose turn was taken is told. */
export function replyTo(tables: Tables, hostId: string): PushReply {
  const host = tables.host(hostId);
  return {
    lease: host?.lease ?? 0,
    revision: tables.counters().revision,
    grantsRevision: host?.grantsRevision ?? 0,
    hostLabel: host?.hostLabel ?? "",
    refused: tables.refusalsOf(hostId),
  };
}

/** The same, later on: for the process that speaks for the host in that epoch, and nobody else. */
export function grantOf(tables: Tables, hostId: string, epoch: number): PushReply | undefined {
  return tables.host(hostId)?.epoch === epoch ? replyTo(tables, hostId) : undefined;
}

/** Whether an operator may free a name: not while its holder's hosts serve it. */
export function judgeRelease(tables: Tables, name: Name, hold: Hold | undefined): ReleaseOutcome {
  if (hold === undefined) return { kind: "not-held" };
  if (hold.until !== undefined) return { kind: "released" };
  const serving = tables.claimsOfName(name).filter(({ refusal }) => refusal === undefined);
  const hostLabels = serving.flatMap(({ hostId }) => tables.host(hostId)?.hostLabel ?? []).toSorted();
  return { kind: "live", hostLabels };
}

/** Seconds until the host's lease lapses, rounded up; 0 when it has none. */
export function leaseRemaining({ leases, now }: JudgedParts, hostId: string): number {
  const left = (leases.get(hostId)?.expiresAt ?? 0) - now();
  return Math.max(0, Math.ceil(left / 1000));
}

function refuse(
  parts: JudgedParts,
  hostId: string,
  held: HostRecord | undefined,
  turn: Turn,
  { scope }: Access,
  declaredLabel: string | undefined,
): TurnOutcome | undefined {
  // Signed for another life: nothing it says is worth a look, and its sender only has to sign anew.
  const isOfThisLife = turn.generation === parts.leases.generation();
  // Of a host that is not held no label is known: its push will say under which it comes.
  const isAllowed = declaredLabel === undefined || allowsHost(scope, hostId, declaredLabel);
  if (isOfThisLife && !isAllowed) return { kind: "host-not-allowed" };
  return refuseTurn(parts, hostId, held, turn);
}

function planSet(
  parts: JudgedParts,
  hostId: string,
  held: HostRecord | undefined,
  push: Push,
  access: Access,
): Plan | TurnOutcome {
  const full = refuseForRoom(parts.tables, hostId, held, access);
  if (full !== undefined) return full;
  const host = hostRecordFrom(parts, held, hostId, push, access);
  const isSame = held?.digest === host.digest && held.lease === host.lease && sameStanding(held, host);
  const turn = turnOf(push);
  if (!isSame) return { host, held, turn, writes: "set", declared: push.declared };
  return { host, held, turn, writes: host.epoch === held.epoch ? "nothing" : "epoch" };
}

/** A host of a limited token counts as one binding at least: else a token with room for two could bring any number of hosts that declare none. */
function refuseForRoom(
  tables: Tables,
  hostId: string,
  held: HostRecord | undefined,
  { tokenId, scope: { maxBindings } }: Access,
): TurnOutcome | undefined {
  if (maxBindings === null || held?.tokenId === tokenId) return undefined;
  const others = tables.hosts().filter((host) => host.tokenId === tokenId && host.hostId !== hostId);
  return others.length < maxBindings ? undefined : { kind: "host-not-allowed", maxHosts: maxBindings };
}

function turnOf({ epoch, sequence }: TurnTaken): TurnTaken {
  return { epoch, sequence };
}
