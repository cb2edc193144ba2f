import type { Refusal } from "../shared/binding.ts";
import { isInZone, type Name } from "../shared/name.ts";
import { hostsApex } from "../shared/reserved.ts";
import type { Draft } from "./draft.ts";
import { refusalForRoom, unfitness } from "./fitness.ts";
import { type Contest, type FitClaim, refusalsUnder, type Settlement, settleName } from "./grants.ts";
import type { Claim, Hold, HostRecord } from "./records.ts";
import { giveRoom, hasRoom } from "./room.ts";

/** What a name came to, for whoever keeps holds elsewhere. */
export interface SettledHold {
  name: Name;
  held: Hold | undefined;
  /** What should be held by the claims there are; undefined: nothing. */
  wanted: Hold | undefined;
  /** A claim is granted under what is held. */
  isServed: boolean;
}

interface Standing {
  claim: Claim;
  host: HostRecord;
  unfit: Refusal | undefined;
}

/**
 * Settles everything the step left open, and what follows from that: room that comes free for a limited token goes to its claims that
 * wait. Comes to an end, because within one step what has room keeps it, unless a name begins to be kept, which each does once.
 */
export function settleAll(draft: Draft): void {
  for (const name of drain(draft.vacated)) settle(draft, name);
  while (draft.unsettled.size > 0 || draft.tokens.size > 0) {
    for (const tokenId of drain(draft.tokens)) giveRoom(draft, tokenId);
    for (const name of drain(draft.unsettled)) settle(draft, name);
  }
  for (const hostId of draft.regranted) {
    const host = draft.parts.tables.host(hostId);
    if (host === undefined) continue;
    draft.parts.tables.putHost({ ...host, grantsRevision: draft.revision });
    draft.hosts.add(hostId);
  }
}

/**
 * The names that would be settled otherwise by now: their refusals follow from settings of another time, such as another zone, or they
 * were granted before names were held for anybody. Looks at every claim: for a start.
 */
export function outdatedNames({ tables, settings }: Draft["parts"]): Set<Name> {
  const outdated = new Set<Name>();
  const granted = new Set<Name>();
  for (const claim of tables.claims()) {
    const host = tables.host(claim.hostId);
    if (host === undefined) continue;
    const unfit = unfitness(claim, host, settings);
    const isByOthers = claim.refusal?.code === "held" || claim.refusal?.code === "over-limit";
    const isSame = isByOthers ? unfit === undefined : claim.refusal?.message === unfit?.message;
    const isHeld = !isShared(settings.zone, claim.name) || tables.hold(claim.name) !== undefined;
    if (!isSame || (claim.refusal === undefined && !isHeld)) outdated.add(claim.name);
    if (claim.refusal === undefined) granted.add(claim.name);
  }
  for (const { name, until } of tables.holds())
    if (until === undefined && !granted.has(name)) outdated.add(name);
  return outdated;
}

/** Writes down who holds `name` and who is refused it. */
function settle(draft: Draft, name: Name): void {
  const { tables, settings } = draft.parts;
  const standings = tables.claimsOfName(name).flatMap((claim) => standingOf(draft, claim));
  const fit = standings.filter(({ unfit }) => unfit === undefined).map((one) => fitClaim(draft, one));
  const held = tables.hold(name);
  const contest = { name, claims: fit, hold: held, now: draft.now, rules: settings.holdRules };
  const { hold, refusals } = isShared(settings.zone, name)
    ? settleHold(draft, contest)
    : { hold: undefined, refusals: new Map<string, Refusal>() };
  if (held?.until !== undefined && hold?.until === undefined) leaveRoom(draft, held.tokenId, standings);
  // Kept from now on although nobody left it, such as under a token that may not have it: takes room that was given away.
  if (held?.until === undefined && hold?.until !== undefined && draft.withoutRoom.has(hold.tokenId))
    draft.tokens.add(hold.tokenId);
  for (const { claim, unfit } of standings) writeRefusal(draft, claim, unfit ?? refusals.get(claim.hostId));
}

/** Where holds are kept elsewhere, what stands in the tables is what counts, also when another hold is due. */
function settleHold(draft: Draft, contest: Contest): Settlement {
  const { name, claims, hold: held } = contest;
  const settlement = settleName(contest);
  const { keepHold } = draft.parts;
  if (keepHold === undefined) {
    replaceHold(draft, name, held, settlement.hold);
    return settlement;
  }
  const refusals = refusalsUnder(name, held, claims);
  const isServed = claims.some(({ hostId }) => !refusals.has(hostId));
  keepHold({ name, held, wanted: settlement.hold, isServed });
  return { hold: held, refusals };
}

/** A host's own names are held for nobody: no other can declare them. */
function isShared(zone: Name, name: Name): boolean {
  return !isInZone(name, hostsApex(zone));
}

function standingOf(draft: Draft, claim: Claim): Standing[] {
  const host = draft.parts.tables.host(claim.hostId);
  if (host === undefined) return [];
  const unfit = unfitness(claim, host, draft.parts.settings);
  if (unfit !== undefined || hasRoom(draft, claim, host)) return [{ claim, host, unfit }];
  return [{ claim, host, unfit: refusalForRoom(claim.name, host) }];
}

function fitClaim(draft: Draft, { claim, host }: Standing): FitClaim {
  const { hostId, hostLabel, owner, tokenId } = host;
  const merges = claim.bindings.every(({ rule }) => rule === "label" || rule === "compose");
  const served = claim.refusal === undefined && claim.since < draft.revision;
  const fit = { hostId, hostLabel, owner, tokenId, since: claim.since, merges, waits: !served };
  const formerOwner = draft.formerOwners.get(hostId);
  return served && formerOwner !== undefined ? { ...fit, servedFor: formerOwner } : fit;
}

function replaceHold(draft: Draft, name: Name, old: Hold | undefined, hold: Hold | undefined): void {
  const { tables } = draft.parts;
  if (hold === undefined && old !== undefined) tables.deleteHold(name);
  if (hold !== undefined && !sameHold(old, hold)) tables.putHold(hold);
  if (hold?.until !== undefined) draft.holdEnd = Math.min(draft.holdEnd, hold.until);
}

/** A kept name took room, and its end leaves some; spares looking for hosts of a token that is seen here to have no bounds. */
function leaveRoom(draft: Draft, tokenId: string, standings: Standing[]): void {
  const seen = standings.find(({ host }) => host.tokenId === tokenId);
  if (seen === undefined || seen.host.scope.maxBindings !== null) draft.tokens.add(tokenId);
}

/** A host whose refusal changed sees its grantsRevision grow. */
function writeRefusal(draft: Draft, claim: Claim, refusal: Refusal | undefined): void {
  // Who holds the name is part of the message.
  if (refusal?.code === claim.refusal?.code && refusal?.message === claim.refusal?.message) return;
  const { refusal: _, ...rest } = claim;
  draft.parts.tables.putClaim(refusal === undefined ? rest : { ...rest, refusal });
  draft.regranted.add(claim.hostId);
}

function sameHold(a: Hold | undefined, b: Hold): boolean {
  if (a === undefined) return false;
  const facts = ({ owner, hostId, hostLabel, tokenId, since, until }: Hold) =>
    JSON.stringify([owner, hostId, hostLabel, tokenId, since, until]);
  return facts(a) === facts(b);
}

function drain<T>(set: Set<T>): T[] {
  const all = [...set];
  set.clear();
  return all;
}
