import type { Name } from "../shared/name.ts";
import { type Draft, unsettle } from "./draft.ts";
import { unfitness } from "./fitness.ts";
import { type Wish, withoutRoom } from "./limits.ts";
import type { Claim, HostRecord } from "./records.ts";

/**
 * Gives what room a limited token has to its claims, and unsettles the names of those that gain or lose it. Looks at all of them, unless
 * they surely have room.
 */
export function giveRoom(draft: Draft, tokenId: string): void {
  const { tables, settings } = draft.parts;
  const hosts = tables.hosts().filter((host) => host.tokenId === tokenId);
  const limit = hosts[0]?.scope.maxBindings ?? null;
  if (limit === null) return;
  const kept = tables.keptByToken(tokenId);
  const declared = hosts.reduce((sum, host) => sum + host.bindings, 0);
  const waits = hosts.some(({ hostId }) =>
    tables.refusalsOf(hostId).some(({ code }) => code === "over-limit"),
  );
  if (!waits && kept + declared <= limit) return void draft.withoutRoom.set(tokenId, new Set());

  const claims = hosts.flatMap((host) =>
    tables.claimsOfHost(host.hostId).filter((claim) => unfitness(claim, host, settings) === undefined),
  );
  // A kept name that is declared again takes the room of its bindings, not another one's besides.
  const returning = kept === 0 ? new Set<Name>() : namesKept(draft, tokenId, claims);
  const wishes = claims.map((claim) => ({
    ...claim,
    size: claim.bindings.length,
    standing: standingOfWish(draft, tokenId, claim, returning),
  }));
  const refused = new Set([...withoutRoom(wishes, limit - kept + returning.size)].map(keyOf));
  draft.withoutRoom.set(tokenId, refused);
  for (const claim of claims) {
    if (refused.has(keyOf(claim)) !== isOverLimit(claim)) unsettle(draft, claim.name);
  }
}

function standingOfWish(draft: Draft, tokenId: string, claim: Claim, returning: Set<Name>): Wish["standing"] {
  // As this step's last look had it, if there was one: what that gave is not taken away again.
  const refused = draft.withoutRoom.get(tokenId);
  // What could not be granted for its own sake, such as under a token of before, took no room either.
  const tookRoom = claim.refusal === undefined || claim.refusal.code === "held";
  const isNew = claim.since === draft.revision;
  // Where several resolvers give room, the holds tell them all who has it.
  if (draft.parts.keepHold !== undefined && isHeldBy(draft, tokenId, claim)) return "has room";
  const hadRoom = refused === undefined ? !isNew && tookRoom : !refused.has(keyOf(claim));
  if (hadRoom) return "has room";
  return returning.has(claim.name) ? "is kept" : "waits";
}

/** Brought by this very host: others of the token that declare the name too take room of their own. */
function isHeldBy({ parts }: Draft, tokenId: string, { name, hostId }: Claim): boolean {
  const hold = parts.tables.hold(name);
  return hold?.tokenId === tokenId && hold.hostLabel === parts.tables.host(hostId)?.hostLabel;
}

function isOverLimit(claim: Claim): boolean {
  return claim.refusal?.code === "over-limit";
}

/** Of the names of `claims`, those kept for the token. */
function namesKept(draft: Draft, tokenId: string, claims: Claim[]): Set<Name> {
  const names = [...new Set(claims.map(({ name }) => name))];
  const isKept = (name: Name) => {
    const hold = draft.parts.tables.hold(name);
    return hold?.until !== undefined && hold.tokenId === tokenId;
  };
  return new Set(names.filter(isKept));
}

/** As the last look at the token's claims has it; of a token that was not looked at, as it was. */
export function hasRoom(draft: Draft, claim: Claim, host: HostRecord): boolean {
  if (host.scope.maxBindings === null) return true;
  const refused = draft.withoutRoom.get(host.tokenId);
  return refused === undefined ? !isOverLimit(claim) : !refused.has(keyOf(claim));
}

function keyOf({ hostId, name }: Pick<Claim, "hostId" | "name">): string {
  return `${hostId} ${name}`;
}
