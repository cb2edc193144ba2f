import { type Name, parentOf } from "../../shared/name.ts";
import type { Claim, Counters, Hold, HostRecord } from "../records.ts";
import type { Tables } from "../tables.ts";

/** Tables in maps: for tests, and where the truth is elsewhere. */
export function createMemoryTables(): Tables {
  const hosts = new Map<string, HostRecord>();
  const hostIdByLabel = new Map<string, string>();
  let counters: Counters = { revision: 0, serial: 0 };
  return {
    // Maps do not fail half way: there is nothing to roll back.
    transaction: (change) => change(),
    counters: () => counters,
    setCounters: (next) => {
      counters = next;
    },
    host: (hostId) => hosts.get(hostId),
    hosts: () => [...hosts.values()],
    hostOfLabel: (label) => hosts.get(hostIdByLabel.get(label) ?? ""),
    putHost(host) {
      dropLabel(hostIdByLabel, hosts.get(host.hostId));
      hosts.set(host.hostId, host);
      hostIdByLabel.set(host.hostLabel, host.hostId);
    },
    deleteHost(hostId) {
      dropLabel(hostIdByLabel, hosts.get(hostId));
      hosts.delete(hostId);
    },
    ...createMemoryClaims(),
    ...createMemoryHolds(),
  };
}

type ClaimTables = Pick<
  Tables,
  "claimsOfHost" | "claimsOfName" | "refusalsOf" | "claims" | "hasNameBelow" | "putClaim" | "deleteClaim"
>;

function createMemoryClaims(): ClaimTables {
  const byHost = new Map<string, Map<Name, Claim>>();
  const byName = new Map<Name, Map<string, Claim>>();
  const below = new Map<string, number>();

  function countGranted(claim: Claim | undefined, step: 1 | -1): void {
    if (claim === undefined || claim.refusal !== undefined) return;
    for (let at = parentOf(claim.name); at !== undefined; at = parentOf(at)) {
      const count = (below.get(at) ?? 0) + step;
      if (count === 0) below.delete(at);
      else below.set(at, count);
    }
  }

  return {
    claimsOfHost: (hostId) => [...(byHost.get(hostId)?.values() ?? [])],
    claimsOfName: (name) => [...(byName.get(name)?.values() ?? [])],
    refusalsOf: (hostId) => {
      const refusals = [...(byHost.get(hostId)?.values() ?? [])].flatMap((claim) => claim.refusal ?? []);
      return refusals.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    claims: () => [...byName.values()].flatMap((claims) => [...claims.values()]),
    hasNameBelow: (owner) => below.has(owner),
    putClaim(claim) {
      countGranted(byHost.get(claim.hostId)?.get(claim.name), -1);
      countGranted(claim, 1);
      place(byHost, claim.hostId, claim.name, claim);
      place(byName, claim.name, claim.hostId, claim);
    },
    deleteClaim(hostId, name) {
      countGranted(byHost.get(hostId)?.get(name), -1);
      displace(byHost, hostId, name);
      displace(byName, name, hostId);
    },
  };
}

type HoldTables = Pick<
  Tables,
  "hold" | "holds" | "holdsEndingBy" | "nextHoldEnd" | "keptByToken" | "putHold" | "deleteHold"
>;

function createMemoryHolds(): HoldTables {
  const holds = new Map<Name, Hold>();
  // Few holds are kept at a time; those of names somebody serves are never looked through.
  const kept = new Map<Name, Hold & { until: number }>();
  return {
    hold: (name) => holds.get(name),
    holds: () => [...holds.values()],
    holdsEndingBy: (now) => [...kept.values()].filter(({ until }) => until <= now),
    nextHoldEnd: () => {
      const ends = [...kept.values()].map(({ until }) => until);
      return ends.length === 0 ? undefined : ends.reduce((a, b) => Math.min(a, b));
    },
    keptByToken: (tokenId) => [...kept.values()].filter((hold) => hold.tokenId === tokenId).length,
    putHold(hold) {
      holds.set(hold.name, hold);
      const { until } = hold;
      if (until === undefined) kept.delete(hold.name);
      else kept.set(hold.name, { ...hold, until });
    },
    deleteHold(name) {
      holds.delete(name);
      kept.delete(name);
    },
  };
}

function dropLabel(hostIdByLabel: Map<string, string>, host: HostRecord | undefined): void {
  if (host !== undefined && hostIdByLabel.get(host.hostLabel) === host.hostId)
    hostIdByLabel.delete(host.hostLabel);
}

function place<A, B>(index: Map<A, Map<B, Claim>>, outer: A, inner: B, claim: Claim): void {
  const claims = index.get(outer) ?? new Map<B, Claim>();
  claims.set(inner, claim);
  index.set(outer, claims);
}

function displace<A, B>(index: Map<A, Map<B, Claim>>, outer: A, inner: B): void {
  const claims = index.get(outer);
  claims?.delete(inner);
  if (claims?.size === 0) index.delete(outer);
}
