import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { Name } from "../../../shared/name.ts";
import { applyStep, replaceHost } from "../../apply.ts";
import { type Draft, unsettle } from "../../draft.ts";
import { asGranted } from "../../own-names.ts";
import type { Claim, Hold } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import type { Mirror, News } from "./mirror.ts";

type Part = Pick<News, "hosts" | "holds">;
type Failed = { part: Part; fault: unknown };
/** Claims of a host by name, as etcd has them. */
type Written = Map<Name, Pick<Claim, "since" | "bindings">>;

/** Brings the tables after what the mirror has just taken in, in one step with all that follows from it. */
export function followNews(registry: RegistryParts, mirror: Mirror, news: News, log: Log): void {
  followTurns(registry, mirror, news);
  if (news.hosts.size + news.holds.size === 0) return;
  try {
    followTogether(registry, mirror, news);
  } catch (fault) {
    log.error(`what etcd told cannot be taken as a whole, so one by one: ${describeFault(fault)}`);
    for (const { part, fault: one } of followSingly(registry, mirror, [...singly(news)])) {
      const what = [...part.holds.keys(), ...part.hosts].join();
      log.error(`what etcd holds of ${what} cannot be taken, and is left alone: ${describeFault(one)}`);
    }
  }
}

/** Returns those that cannot be taken. One may have to wait for another: for the host that gives its label up. */
function followSingly(registry: RegistryParts, mirror: Mirror, parts: Part[]): Failed[] {
  const failed = parts.flatMap((part): Failed[] => {
    try {
      followTogether(registry, mirror, part);
      return [];
    } catch (fault) {
      return [{ part, fault }];
    }
  });
  if (failed.length === 0 || failed.length === parts.length) return failed;
  return followSingly(
    registry,
    mirror,
    failed.map(({ part }) => part),
  );
}

function followTogether(registry: RegistryParts, mirror: Mirror, news: Part): void {
  const { tables } = registry;
  const written = new Map<string, Written>();
  const change = tables.transaction(() => {
    const applied = applyStep(registry, (draft) => {
      for (const [name, hold] of news.holds) replaceHold(draft, name, hold);
      for (const hostId of news.hosts) written.set(hostId, followHost(draft, mirror, hostId));
    });
    for (const [hostId, claims] of written) rewriteSince(registry, hostId, claims);
    return applied.change;
  });
  registry.onCommitted?.(change);
}

/** No revision: nothing that anybody is shown or answered follows from a turn, but whoever speaks for the host in an old one must stop. */
function followTurns({ tables, onCommitted }: RegistryParts, mirror: Mirror, { hosts, turns }: News): void {
  const changed = [...turns].filter((hostId) => !hosts.has(hostId));
  for (const hostId of changed) {
    const host = tables.host(hostId);
    const turn = mirror.hosts.turns.get(hostId);
    if (host === undefined || turn === undefined || host.epoch === turn.epoch) continue;
    tables.transaction(() => tables.putHost({ ...host, epoch: turn.epoch }));
  }
  if (changed.length > 0) onCommitted?.({ revision: tables.counters().revision, names: [], hosts: changed });
}

function* singly({ hosts, holds }: News): Generator<Part> {
  for (const hold of holds) yield { hosts: new Set(), holds: new Map([hold]) };
  for (const hostId of hosts) yield { hosts: new Set([hostId]), holds: new Map() };
}

function replaceHold(draft: Draft, name: Name, hold: Hold | undefined): void {
  const { tables } = draft.parts;
  const before = tables.hold(name);
  // A kept name takes room of its token, and leaves it when it ends.
  if ((before?.until === undefined) !== (hold?.until === undefined))
    for (const one of [before, hold]) if (one?.until !== undefined) draft.tokens.add(one.tokenId);
  unsettle(draft, name);
  if (hold === undefined) tables.deleteHold(name);
  else tables.putHold(hold);
}

/** Returns the claims that are to have another `since` than the step gives them. */
function followHost(draft: Draft, mirror: Mirror, hostId: string): Written {
  const { tables, settings } = draft.parts;
  const known = tables.claimsOfHost(hostId);
  const head = mirror.hosts.heads.get(hostId);
  if (head === undefined) {
    // One that is there and says nothing to us leaves the host as it was.
    if (mirror.hosts.revisionsOf(hostId).head === 0) replaceHost(draft, hostId, undefined, known, new Map());
    return new Map();
  }
  const declarations = mirror.hosts.declarationsOf(hostId);
  if (declarations === undefined) return new Map();
  const claims: Written = new Map();
  for (const { name, since, bindings } of declarations) {
    const granted = bindings.map((binding) => asGranted(binding, head.host, settings.zone));
    claims.set(granted[0]?.name ?? name, { since, bindings: granted });
  }
  const grantsRevision = tables.host(hostId)?.grantsRevision ?? 0;
  const bindings = new Map([...claims].map(([name, claim]) => [name, claim.bindings]));
  const { epoch } = mirror.hosts.turns.get(hostId) ?? { epoch: 0 };
  replaceHost(draft, hostId, { ...head.host, epoch, grantsRevision }, known, bindings);
  for (const { name, since } of known) if (claims.get(name)?.since === since) claims.delete(name);
  return claims;
}

/** The step takes its own revision for new claims, which on a resolver that starts late is another one. Who waited longest is told alike. */
function rewriteSince({ tables }: RegistryParts, hostId: string, claims: Written): void {
  if (claims.size === 0) return;
  const refusals = new Map(tables.refusalsOf(hostId).map((refusal) => [refusal.name, refusal]));
  for (const [name, claim] of claims) {
    const refusal = refusals.get(name);
    tables.putClaim({ hostId, name, ...claim, ...(refusal === undefined ? {} : { refusal }) });
  }
}
