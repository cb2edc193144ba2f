import type { Refusal } from "../shared/binding.ts";
import { displayName, type Name } from "../shared/name.ts";
import { bootstrapOwner } from "./access.ts";
import type { Hold } from "./records.ts";

/** How long an owner must have had a name for it to be kept, and for how long it then is; in milliseconds. */
export interface HoldRules {
  lifeMs: number;
  keptMs: number;
}

/** A name somebody tried for a minute is nobody's; one that was gone over a holiday still belongs to whom it did. */
export const standardHoldRules: HoldRules = { lifeMs: 10 * 60_000, keptMs: 14 * 24 * 60 * 60_000 };

/** A claim that nothing but another's hold can keep from being granted, with what its host says of itself. */
export interface FitClaim {
  hostId: string;
  hostLabel: string;
  owner: string;
  tokenId: string;
  since: number;
  /** By a name people chose, for a service rather than for one container: it means the same thing on every host. */
  merges: boolean;
  /** Not granted so far, be it that another held the name, that there was no room, or that it is new. */
  waits: boolean;
  /** The owner for whom this host served the name until now, when its token became another owner's. */
  servedFor?: string;
}

export interface Contest {
  name: Name;
  claims: FitClaim[];
  hold: Hold | undefined;
  /** Milliseconds of the registry's clock. */
  now: number;
  rules: HoldRules;
}

/** Who holds the name from now on, and who is refused, by host id; claims without a refusal are granted. */
export interface Settlement {
  hold: Hold | undefined;
  refusals: Map<string, Refusal>;
}

/**
 * Who may answer for one name, from who held it and everything declared for it:
 *
 *                     first claim             holder declares it no more,
 *                   ┌──────────────► held ─── merging, after 10 min of life ────► kept (14 d)
 *          free ────┤                 │ ▲                                          │   │
 *           ▲       └─ nobody: free   │ └── a claim of the holder's: goes on ──────┘   │
 *           └──── exclusive, or younger than that ─────────────── time is up ──────────┘
 *
 *   holder       is                                  granted                              goes on while
 *   merging      an owner                            its hosts' label and compose claims  a host of the owner's claims it
 *   exclusive    one host (rule container)           that host's claim                    that host claims it, by any rule
 *
 * The first claim is the one with the lowest `since`, then the lowest host id, so every resolver settles alike; one that was granted
 * before comes before those that wait (a holder's by another rule, and in tables of a time before holds). A holder never loses its name
 * to who waited longer. A host that alone serves a name and comes with a token of another owner takes it along when nobody could miss it:
 * an exclusive name is the host's own affair, a young one is kept for nobody, and the names of the bootstrap tokens are on their way to
 * their owners. Any other stays behind, kept; else a token that speaks for a host could take its owner's names.
 */
export function settleName(contest: Contest): Settlement {
  const { hold: _, ...rest } = contest;
  const claims = contest.claims.toSorted(
    (a, b) => Number(a.waits) - Number(b.waits) || a.since - b.since || (a.hostId < b.hostId ? -1 : 1),
  );
  const hold = goesOn({ ...contest, claims }) ?? firstHold({ ...rest, claims });
  return { hold, refusals: refusalsUnder(contest.name, hold, claims) };
}

/** Who is refused while `hold` stands, by host id; while none does nobody is granted the name. */
export function refusalsUnder(name: Name, hold: Hold | undefined, claims: FitClaim[]): Map<string, Refusal> {
  const refused = claims.filter((claim) => hold === undefined || !isGranted(claim, hold));
  const unsettled = (): Refusal => {
    return { name, code: "held", message: `${displayName(name)} is being settled between resolvers` };
  };
  return new Map(
    refused.map((claim) => [claim.hostId, hold === undefined ? unsettled() : refuse(claim, hold)]),
  );
}

/** The label a new host gets: its own, or that with as much of its host id as makes it differ from the `taken` ones. */
export function grantHostLabel(
  declared: string,
  hostId: string,
  isTaken: (label: string) => boolean,
): string {
  if (!isTaken(declared)) return declared;
  for (let length = 6; length < hostId.length; length++) {
    const label = `${declared.slice(0, 62 - length)}-${hostId.slice(0, length)}`;
    if (!isTaken(label)) return label;
  }
  return hostId;
}

/** The hold as it stands now: followed to who brings the name today, kept for who may bring it again; undefined when the name is free. */
function goesOn({ claims, hold, now, rules }: Contest): Hold | undefined {
  if (hold === undefined || (hold.until !== undefined && hold.until <= now)) return undefined;
  const isOld = now - hold.since >= rules.lifeMs;
  const holders = holdersAmong(claims, hold, isOld);
  // People know a holder by the host that brought the name; it stays named while it is there.
  const isNamed = (claim: FitClaim) => claim.hostLabel === hold.hostLabel;
  const holder = holders.find(isNamed) ?? holders[0];
  if (holder !== undefined) return holdOf(hold.name, holder, hold.since);
  if (hold.until !== undefined) return hold;
  return hold.hostId === undefined && isOld ? { ...hold, until: now + rules.keptMs } : undefined;
}

function firstHold({ name, claims, now }: Omit<Contest, "hold">): Hold | undefined {
  const first = claims[0];
  return first === undefined ? undefined : holdOf(name, first, now);
}

/** The claims that carry a hold on; the first of them says how. */
function holdersAmong(claims: FitClaim[], hold: Hold, isOld: boolean): FitClaim[] {
  if (hold.hostId !== undefined) return claims.filter((claim) => claim.hostId === hold.hostId);
  const own = claims.filter((claim) => claim.owner === hold.owner);
  const merging = own.filter((claim) => claim.merges);
  if (merging.length > 0) return merging;
  if (own.length > 0) return own;
  const mayMove = !isOld || hold.owner === bootstrapOwner;
  return mayMove ? claims.filter((claim) => claim.servedFor === hold.owner) : [];
}

function holdOf(name: Name, claim: FitClaim, since: number): Hold {
  const { owner, hostId, hostLabel, tokenId, merges } = claim;
  return { name, owner, ...(merges ? {} : { hostId }), hostLabel, tokenId, since };
}

function isGranted(claim: FitClaim, hold: Hold): boolean {
  if (hold.until !== undefined) return false;
  return hold.hostId === undefined
    ? claim.merges && claim.owner === hold.owner
    : claim.hostId === hold.hostId;
}

function refuse(claim: FitClaim, hold: Hold): Refusal {
  const { name, owner, hostLabel } = hold;
  const message = `${displayName(name)} is ${standing(hold)}; ${mendFor(claim, hold)}`;
  return { name, code: "held", message, holder: { owner, hostLabel } };
}

function standing({ owner, hostLabel, until }: Hold): string {
  if (until === undefined) return `held by host ${hostLabel} (owner ${owner})`;
  // Without fractions of a second: the clock has them, nobody wants them.
  const date = new Date(until).toISOString().replace(/\.\d+Z$/, "Z");
  return `kept for owner ${owner}, who had it on host ${hostLabel}, until ${date}`;
}

function mendFor(claim: FitClaim, hold: Hold): string {
  if (hold.until !== undefined) {
    return `an administrator frees it with "berth names release ${displayName(hold.name)}"`;
  }
  if (claim.owner !== hold.owner) {
    return "give this container another name with a berth.name label, or its agent a token of that owner";
  }
  return hold.hostId === undefined
    ? "a plain container's name does not join it; give this container a berth.name label"
    : "give the containers a common berth.name label if they are replicas, or different names if not";
}
