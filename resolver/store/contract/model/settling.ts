import type { ModelClaim, ModelHold, ModelHost, ModelRefusal, ModelState, ModelWish } from "./state.ts";
import { byTurn, compareText, wishesFor } from "./state.ts";

const lifeMs = 10 * 60_000;
const keptMs = 14 * 24 * 60 * 60_000;

/** What a step did besides what the state shows. */
export interface StepFacts {
  /** Names some host declares no more. */
  vacated: Set<string>;
  /** The host that comes with a token of another owner, and the owner it served until now. */
  defector?: { hostId: string; owner: string };
}

/**
 * Who holds every name and who is refused it: all of it anew, until nothing changes any more. Names that were left come first, because
 * one that is kept from now on takes room.
 */
export function settleEverything(state: ModelState, facts: StepFacts): void {
  for (const name of facts.vacated) settleOne(state, name, facts);
  const tokenIds = new Set([...state.hosts.values()].map(({ token }) => token.tokenId));
  for (let round = 0, before = ""; before !== textOf(state); round++) {
    if (round > 20) throw new Error("the model does not settle");
    before = textOf(state);
    for (const tokenId of tokenIds) giveRoom(state, tokenId);
    for (const name of namesIn(state)) settleOne(state, name, facts);
  }
}

/** Why nobody could be granted the claim, whoever else wants the name. */
function ownFault({ label, token }: ModelHost, name: string, claim: ModelClaim): ModelRefusal | undefined {
  if (claim.bindings.every(({ rule }) => rule === "host"))
    return name === `web.${label}.host` ? undefined : { code: "reserved" };
  if (name === "ns") return { code: "reserved" };
  const { names } = token.scope;
  const isAllowed = names.length === 0 || name.endsWith(".shop") || name === "postgres";
  return isAllowed ? undefined : { code: "not-allowed" };
}

/** Who has room keeps it, then kept names come back to theirs, then those that wait: each as far as the token's limit goes. */
function giveRoom(state: ModelState, tokenId: string): void {
  const hosts = [...state.hosts.values()].filter(({ token }) => token.tokenId === tokenId);
  const limit = hosts[0]?.token.scope.maxBindings ?? Number.POSITIVE_INFINITY;
  const kept = [...state.holds].filter(([, hold]) => hold.until !== undefined && hold.tokenId === tokenId);
  const keptNames = kept.map(([name]) => name);
  const all = hosts.flatMap((host) => [...host.claims].map(([name, claim]) => ({ host, claim, name })));
  const fit = all.filter(({ host, name, claim }) => ownFault(host, name, claim) === undefined);
  for (const one of all) one.claim.hasRoom &&= fit.includes(one);
  const returning = keptNames.filter((kept) => fit.some(({ name }) => name === kept));
  const rank = ({ claim, name }: (typeof fit)[number]) =>
    claim.hasRoom ? 0 : returning.includes(name) ? 1 : 2;
  fit.sort((a, b) => rank(a) - rank(b) || byTurn(a, b) || compareText(a.name, b.name));
  let left = limit - kept.length + returning.length;
  for (const { claim } of fit) {
    claim.hasRoom = claim.bindings.length <= left;
    if (claim.hasRoom) left -= claim.bindings.length;
  }
}

function settleOne(state: ModelState, name: string, facts: StepFacts): void {
  const wishes = wishesFor(state, name).toSorted(byTurn);
  const fit = wishes.filter(({ host, claim }) => ownFault(host, name, claim) === undefined && claim.hasRoom);
  const hold = name.endsWith(".host") ? undefined : holdFrom(state, name, fit, facts);
  if (hold === undefined) state.holds.delete(name);
  else state.holds.set(name, hold);
  for (const wish of wishes) {
    const refusal = refusalOf(wish, name, fit.includes(wish), hold);
    delete wish.claim.refusal;
    if (refusal !== undefined) wish.claim.refusal = refusal;
  }
}

function holdFrom(
  state: ModelState,
  name: string,
  fit: ModelWish[],
  facts: StepFacts,
): ModelHold | undefined {
  const old = state.holds.get(name);
  const first = fit[0];
  if (old === undefined || (old.until !== undefined && old.until <= state.now))
    return first === undefined ? undefined : holdOf(first, state.now);
  const holders = holdersAmong(state, fit, old, facts);
  // Whoever is known as the holder stays so, under any token; one that renames itself is another to those who know it.
  const holder = holders.find(({ host }) => host.label === old.hostLabel) ?? holders[0];
  if (holder !== undefined) return holdOf(holder, old.since);
  if (old.until !== undefined) return old;
  if (!old.isExclusive && state.now - old.since >= lifeMs) return { ...old, until: state.now + keptMs };
  return first === undefined ? undefined : holdOf(first, state.now);
}

/** Those by whose claims the hold goes on. */
function holdersAmong(state: ModelState, fit: ModelWish[], hold: ModelHold, facts: StepFacts): ModelWish[] {
  if (hold.isExclusive) return fit.filter(({ host }) => host.hostId === hold.hostId);
  const own = fit.filter(({ host }) => host.token.owner === hold.owner);
  const merging = own.filter(({ claim }) => merges(claim));
  if (merging.length > 0) return merging;
  // A holder that comes by another rule does not lose its name to who waited for it.
  const serving = own.filter(hasServed);
  if (own.length > 0) return serving.length > 0 ? serving : own.slice(0, 1);
  // Who alone served it until now takes it along to the owner it has from now on; not what its old owner is to find again.
  if (state.now - hold.since >= lifeMs && hold.owner !== "operator") return [];
  const { defector } = facts;
  const isDefectors = defector !== undefined && defector.owner === hold.owner;
  return fit.filter((wish) => isDefectors && wish.host.hostId === defector.hostId && hasServed(wish));

  function hasServed({ claim }: ModelWish): boolean {
    return claim.refusal === undefined && claim.since < state.changes;
  }
}

function holdOf({ host, claim }: ModelWish, since: number): ModelHold {
  const { hostId, label, token } = host;
  const { owner, tokenId } = token;
  return { owner, hostId, isExclusive: !merges(claim), hostLabel: label, tokenId, since };
}

function refusalOf(
  { host, claim }: ModelWish,
  name: string,
  isFit: boolean,
  hold: ModelHold | undefined,
): ModelRefusal | undefined {
  if (!isFit) return ownFault(host, name, claim) ?? { code: "over-limit" };
  if (hold === undefined) return undefined;
  const isHolders = hold.isExclusive
    ? host.hostId === hold.hostId
    : host.token.owner === hold.owner && merges(claim);
  if (isHolders && hold.until === undefined) return undefined;
  const standing = JSON.stringify([hold.isExclusive, hold.until, host.token.owner]);
  return { code: "held", holder: { owner: hold.owner, hostLabel: hold.hostLabel }, standing };
}

/** By a name people chose, on all of its bindings. */
function merges({ bindings }: ModelClaim): boolean {
  return bindings.every(({ rule }) => rule === "compose" || rule === "label");
}

function namesIn({ hosts, holds }: ModelState): Set<string> {
  return new Set([...[...hosts.values()].flatMap(({ claims }) => [...claims.keys()]), ...holds.keys()]);
}

function textOf({ hosts, holds }: ModelState): string {
  const claims = [...hosts.values()].map(({ claims }) =>
    [...claims].map(([name, { hasRoom, refusal }]) => [name, hasRoom, refusal]),
  );
  return JSON.stringify([claims, [...holds]]);
}
