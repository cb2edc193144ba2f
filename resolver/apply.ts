import type { Binding, Refusal } from "../shared/binding.ts";
import { canonicalBinding } from "../shared/digest.ts";
import { isInZone, type Name, nameBelow, parentOf } from "../shared/name.ts";
import { hostsApex, nameRefusal, portNamesRefusal } from "../shared/reserved.ts";
import { settleName } from "./grants.ts";
import type { Claim, HostRecord } from "./records.ts";
import type { RegistryParts } from "./registry.ts";
import { compileHost, compileName } from "./zone/compile.ts";

/**
 * The one way tables and zone change: `host` with `claims` in the place of what the host had; undefined removes it. Touches only the
 * names that differ. To be called inside a transaction.
 */
export function replaceHost(
  parts: RegistryParts,
  hostId: string,
  host: HostRecord | undefined,
  claims: Map<Name, Binding[]>,
): void {
  const { tables, zone } = parts;
  const old = tables.host(hostId);
  const revision = advanceCounters(parts);
  if (host === undefined) tables.deleteHost(hostId);
  else tables.putHost(host);

  const targetsMoved = host === undefined || old === undefined || !sameTargets(old, host);
  const touched = replaceClaims(parts, hostId, claims, revision, targetsMoved);
  for (const name of touched) settle(parts, name, revision);

  const hostOf = (id: string) => tables.host(id);
  const changed = [...touched].flatMap((name) =>
    compileServiceName(parts, name, tables.claimsOfName(name), hostOf),
  );
  if (host === undefined) changed.push(...zone.replace(`host ${hostId}`, []));
  else changed.push(...compileHostNames(parts, host, [...claims.values()].flat()));
  parts.onChanged?.(changed);
}

/**
 * For a start: the tables were settled under the settings of their time, such as another zone. Settles the names anew whose refusals
 * follow from the name alone and are others by now. To be called inside a transaction.
 */
export function settleAnew(parts: RegistryParts): void {
  const { tables } = parts;
  const byName = (refusal: Refusal | undefined) => (refusal?.code === "held" ? undefined : refusal?.message);
  const outdated = [...tables.claims()].filter((claim) => {
    return byName(claim.refusal) !== refusalByName(parts, claim)?.message;
  });
  if (outdated.length === 0) return;
  const revision = advanceCounters(parts);
  for (const name of new Set(outdated.map((claim) => claim.name))) settle(parts, name, revision);
}

/** Compiles the whole zone from the tables, reading every row once. */
export function compileAll(parts: RegistryParts): void {
  parts.zone.clear();
  const hosts = new Map(parts.tables.hosts().map((host) => [host.hostId, host]));
  const claims = [...parts.tables.claims()];
  const claimsByHost = Map.groupBy(claims, (claim) => claim.hostId);
  for (const host of hosts.values()) {
    const own = claimsByHost.get(host.hostId) ?? [];
    compileHostNames(
      parts,
      host,
      own.flatMap((claim) => claim.bindings),
    );
  }
  for (const [name, rival] of Map.groupBy(claims, (claim) => claim.name)) {
    compileServiceName(parts, name, rival, (hostId) => hosts.get(hostId));
  }
}

/** Serial: the larger of last + 1 and Unix seconds, so that a registry that lost its past does not go back (RFC 1982). */
function advanceCounters(parts: RegistryParts): number {
  const counters = parts.tables.counters();
  const revision = counters.revision + 1;
  const serial = Math.max(counters.serial + 1, Math.floor(parts.now() / 1000));
  parts.tables.setCounters({ revision, serial });
  return revision;
}

/** Returns the names to settle and compile: those whose bindings changed, or all when the host's targets moved. */
function replaceClaims(
  { tables }: RegistryParts,
  hostId: string,
  claims: Map<Name, Binding[]>,
  revision: number,
  all: boolean,
): Set<Name> {
  const old = new Map(tables.claimsOfHost(hostId).map((claim) => [claim.name, claim]));
  const touched = new Set<Name>();
  for (const name of old.keys()) {
    if (claims.has(name)) continue;
    tables.deleteClaim(hostId, name);
    touched.add(name);
  }
  for (const [name, bindings] of claims) {
    const known = old.get(name);
    const same = known !== undefined && sameBindings(known.bindings, bindings);
    if (same && !all) continue;
    touched.add(name);
    // One that could not be granted for its own sake was not waiting for anybody: changed, its turn begins now.
    const keepsTurn = known !== undefined && (known.refusal === undefined || known.refusal.code === "held");
    if (!same)
      tables.putClaim({ ...known, hostId, name, bindings, since: keepsTurn ? known.since : revision });
  }
  return touched;
}

/** Writes down who is refused `name`. A host whose refusal changed sees its grantsRevision grow. */
function settle(parts: RegistryParts, name: Name, revision: number): void {
  const { tables } = parts;
  const claims = tables.claimsOfName(name);
  const unfit = new Map(claims.map((claim) => [claim.hostId, refusalByName(parts, claim)]));
  const contenders = claims.filter((claim) => unfit.get(claim.hostId) === undefined);
  const held = settleName(contenders, (hostId) => tables.host(hostId)?.hostLabel ?? hostId);
  for (const claim of claims) {
    const refusal = unfit.get(claim.hostId) ?? held.get(claim.hostId);
    if (refusal?.message === claim.refusal?.message) continue;
    const { refusal: _, ...rest } = claim;
    tables.putClaim(refusal === undefined ? rest : { ...rest, refusal });
    const host = tables.host(claim.hostId);
    if (host !== undefined) tables.putHost({ ...host, grantsRevision: revision });
  }
}

/** Refusals that follow from the name alone, whoever else declares it. */
function refusalByName({ tables, settings }: RegistryParts, claim: Claim): Refusal | undefined {
  const { zone, nameServers } = settings;
  const isHostsOwn = claim.bindings.every((binding) => binding.rule === "host");
  const refusal = isHostsOwn ? portNamesRefusal(claim.name) : nameRefusal(claim.name, zone, nameServers);
  if (refusal !== undefined) return { name: claim.name, ...refusal };
  if (!isHostsOwn) return undefined;
  const label = tables.host(claim.hostId)?.hostLabel ?? "";
  if (parentOf(claim.name) === nameBelow(label, hostsApex(zone))) return undefined;
  const message = `a host's own names stand below ${label}.host, its label; nothing else may`;
  return { name: claim.name, code: "reserved", message };
}

function compileServiceName(
  { zone, settings }: RegistryParts,
  name: Name,
  claims: Claim[],
  hostOf: (hostId: string) => HostRecord | undefined,
): Name[] {
  if (!isInZone(name, settings.zone)) return [];
  const grants = claims.flatMap((claim) => {
    const host = hostOf(claim.hostId);
    return host === undefined || claim.refusal !== undefined ? [] : [{ claim, host }];
  });
  return zone.replace(`name ${name}`, compileName(name, grants, settings));
}

function compileHostNames({ zone, settings }: RegistryParts, host: HostRecord, bindings: Binding[]): Name[] {
  return zone.replace(`host ${host.hostId}`, compileHost(host, bindings, settings));
}

/** Whether SRV RRs to the host, and the TTLs that follow from its lease, may stay as they are. */
function sameTargets(old: HostRecord, host: HostRecord): boolean {
  const facts = ({ hostLabel, addresses, lease }: HostRecord) =>
    JSON.stringify([hostLabel, addresses, lease]);
  return facts(old) === facts(host);
}

function sameBindings(a: Binding[], b: Binding[]): boolean {
  const text = (bindings: Binding[]) => bindings.map(canonicalBinding).toSorted().join();
  return a.length === b.length && text(a) === text(b);
}
