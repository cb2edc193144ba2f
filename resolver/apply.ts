import type { Binding } from "../shared/binding.ts";
import { canonicalBinding } from "../shared/digest.ts";
import type { Name } from "../shared/name.ts";
import type { TokenScope } from "../shared/tokens.ts";
import type { Change } from "./changes.ts";
import { beginDraft, type Draft, endDraft, touchHostLabel, touchName, unsettle, vacate } from "./draft.ts";
import type { Claim, HostRecord } from "./records.ts";
import type { RegistryParts } from "./registry.ts";
import { settleAll } from "./settle.ts";

export interface Applied {
  change: Change;
  /** The earliest end of a name this step began to keep; Infinity when it kept none. */
  holdEnd: number;
}

/**
 * The one way tables and zone change: `step` says what it replaces, everything that follows is settled, and all of it or nothing is
 * written. Only what differs is touched, so the cost follows the change; a limited token's own claims are looked at whole.
 */
export function applyStep(parts: RegistryParts, step: (draft: Draft) => void): Applied {
  try {
    return parts.tables.transaction(() => {
      const draft = beginDraft(parts);
      step(draft);
      settleAll(draft);
      return { change: endDraft(draft), holdEnd: draft.holdEnd };
    });
  } catch (fault) {
    // A write that failed must leave no trace in the zone either.
    parts.zone.forgetAll();
    throw fault;
  }
}

/** How many names a step brought a host, took from it, or gave other bindings. */
export interface Effect {
  added: number;
  removed: number;
  changed: number;
}

/** The effect of a change that was made elsewhere. */
export function effectOf(before: Claim[], after: Claim[]): Effect {
  const old = new Map(before.map((claim) => [claim.name, claim]));
  const added = after.filter(({ name }) => !old.has(name)).length;
  const removed = before.length - (after.length - added);
  const changed = after.filter(({ name, bindings }) => {
    const known = old.get(name);
    return known !== undefined && !sameBindings(known.bindings, bindings);
  }).length;
  return { added, removed, changed };
}

/**
 * `host` with `claims` in the place of what the host had; undefined removes it. `known` are its claims until now.
 */
export function replaceHost(
  draft: Draft,
  hostId: string,
  host: HostRecord | undefined,
  known: Claim[],
  claims: Map<Name, Binding[]>,
): Effect {
  const { tables } = draft.parts;
  const old = tables.host(hostId);
  const difference = differenceOf(known, claims, draft.revision, hostId);
  touchWhatFollows(draft, old, host, difference);
  if (old !== undefined && host !== undefined && old.owner !== host.owner)
    draft.formerOwners.set(hostId, old.owner);
  for (const one of [old, host]) if (one?.scope.maxBindings != null) draft.tokens.add(one.tokenId);

  draft.hosts.add(hostId);
  if (host === undefined) tables.deleteHost(hostId);
  else tables.putHost(host);
  for (const name of difference.gone) tables.deleteClaim(hostId, name);
  for (const claim of difference.put) tables.putClaim(claim);
  const removed = difference.gone.length;
  const added = claims.size - (known.length - removed);
  return { added, removed, changed: difference.put.length - added };
}

/** Whether a host stands for the same owner with the same rights, so that nothing granted to it depends on who asks. */
export function sameStanding(a: Standing, b: Standing): boolean {
  const facts = ({ tokenId, owner, scope }: Standing) => JSON.stringify([tokenId, owner, scopeFacts(scope)]);
  return facts(a) === facts(b);
}

/** The same but for the token itself: what was granted under one follows for the other. */
export function sameRights(a: Standing, b: Standing): boolean {
  return a.owner === b.owner && scopeFacts(a.scope) === scopeFacts(b.scope);
}

type Standing = Pick<HostRecord, "tokenId" | "owner" | "scope">;

interface Difference {
  gone: Name[];
  put: Claim[];
  same: Name[];
}

function differenceOf(
  known: Claim[],
  claims: Map<Name, Binding[]>,
  revision: number,
  hostId: string,
): Difference {
  const old = new Map(known.map((claim) => [claim.name, claim]));
  const difference: Difference = { gone: [], put: [], same: [] };
  for (const name of old.keys()) if (!claims.has(name)) difference.gone.push(name);
  for (const [name, bindings] of claims) {
    const before = old.get(name);
    if (before !== undefined && sameBindings(before.bindings, bindings)) difference.same.push(name);
    else difference.put.push(changedClaim(before, { hostId, name, bindings, since: revision }));
  }
  return difference;
}

/** One that could not be granted for its own sake was not waiting for anybody: changed, its turn begins now. */
export function changedClaim(before: Claim | undefined, fresh: Claim): Claim {
  if (before === undefined) return fresh;
  const code = before.refusal?.code;
  const keepsTurn = code === undefined || code === "held" || code === "over-limit";
  return { ...before, bindings: fresh.bindings, since: keepsTurn ? before.since : fresh.since };
}

/** Before the first write: names that changed, or all of them when the host's addresses or its standing did. */
function touchWhatFollows(
  draft: Draft,
  old: HostRecord | undefined,
  host: HostRecord | undefined,
  { gone, put, same }: Difference,
): void {
  const isBoth = old !== undefined && host !== undefined;
  const hasMoved = !isBoth || !sameTargets(old, host);
  if (hasMoved || JSON.stringify(old.parts) !== JSON.stringify(host.parts)) {
    for (const one of [old, host]) if (one !== undefined) touchHostLabel(draft, one.hostLabel);
  }
  for (const name of gone) vacate(draft, name);
  for (const { name } of put) unsettle(draft, name);
  if (!isBoth || old.hostLabel !== host.hostLabel || !sameStanding(old, host)) {
    for (const name of same) unsettle(draft, name);
  } else if (hasMoved) {
    for (const name of same) touchName(draft, name);
  }
}

/** Whether SRV RRs to the host, and the TTLs that follow from its lease, may stay as they are. */
function sameTargets(old: HostRecord, host: HostRecord): boolean {
  const facts = ({ hostLabel, addresses, lease }: HostRecord) =>
    JSON.stringify([hostLabel, addresses, lease]);
  return facts(old) === facts(host);
}

export function sameBindings(a: Binding[], b: Binding[]): boolean {
  if (a.length !== b.length) return false;
  // What a delta left alone is the very same: spares writing out a large set to compare it.
  if (a.every((binding, index) => binding === b[index])) return true;
  const text = (bindings: Binding[]) => bindings.map(canonicalBinding).toSorted().join();
  return text(a) === text(b);
}

function scopeFacts({ names, hosts, maxBindings, maxLease }: TokenScope): string {
  return JSON.stringify([names, hosts, maxBindings, maxLease]);
}
