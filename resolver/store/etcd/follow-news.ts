import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { Name } from "../../../shared/name.ts";
import { applyStep, replaceHost } from "../../apply.ts";
import { type Draft, unsettle } from "../../draft.ts";
import { asGranted } from "../../own-names.ts";
import type { Hold } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import type { Mirror, News } from "./mirror.ts";

/** Claims of one host and since when etcd has them. */
type Waits = Map<string, Map<Name, number>>;

/** Brings the tables after what the mirror has just taken in, in one step with all that follows from it. */
export function followNews(registry: RegistryParts, mirror: Mirror, news: News, log: Log): void {
  try {
    followTogether(registry, mirror, news);
  } catch (fault) {
    log.error(`what etcd told cannot be taken as a whole, so one by one: ${describeFault(fault)}`);
    for (const part of singly(news)) {
      try {
        followTogether(registry, mirror, part);
      } catch (one) {
        const what = [...part.holds.keys(), ...part.hosts].join();
        log.error(`what etcd holds of ${what} cannot be taken, and is left alone: ${describeFault(one)}`);
      }
    }
  }
}

function followTogether(registry: RegistryParts, mirror: Mirror, news: Pick<News, "hosts" | "holds">): void {
  const { tables } = registry;
  const waits: Waits = new Map();
  const change = tables.transaction(() => {
    const applied = applyStep(registry, (draft) => {
      for (const [name, hold] of news.holds) replaceHold(draft, name, hold);
      for (const hostId of news.hosts) waits.set(hostId, followHost(draft, mirror, hostId));
    });
    for (const [hostId, names] of waits) rewriteSince(registry, hostId, names);
    return applied.change;
  });
  registry.onCommitted?.(change);
}

function* singly({ hosts, holds }: News): Generator<Pick<News, "hosts" | "holds">> {
  for (const hold of holds) yield { hosts: new Set(), holds: new Map([hold]) };
  for (const hostId of hosts) yield { hosts: new Set([hostId]), holds: new Map() };
}

function replaceHold(draft: Draft, name: Name, hold: Hold | undefined): void {
  const { tables } = draft.parts;
  const before = tables.hold(name);
  // A kept name took room of its token.
  if (before?.until !== undefined && hold?.until === undefined) draft.tokens.add(before.tokenId);
  unsettle(draft, name);
  if (hold === undefined) tables.deleteHold(name);
  else tables.putHold(hold);
}

/** Returns the names whose claims are to have another `since` than the step gives them. */
function followHost(draft: Draft, mirror: Mirror, hostId: string): Map<Name, number> {
  const { tables, settings } = draft.parts;
  const known = tables.claimsOfHost(hostId);
  const head = mirror.heads.get(hostId);
  if (head === undefined) {
    // One that is there and says nothing to us leaves the host as it was.
    if (mirror.headRevision(hostId) === 0) replaceHost(draft, hostId, undefined, known, new Map());
    return new Map();
  }
  const declarations = mirror.declarationsOf(hostId);
  if (declarations === undefined) return new Map();
  const granted = declarations.map(({ since, bindings }) => ({
    since,
    bindings: bindings.map((binding) => asGranted(binding, head.host, settings.zone)),
  }));
  const claims = new Map(granted.map(({ bindings }) => [bindings[0]?.name ?? settings.zone, bindings]));
  const grantsRevision = tables.host(hostId)?.grantsRevision ?? 0;
  replaceHost(draft, hostId, { ...head.host, grantsRevision }, known, claims);
  const before = new Map(known.map(({ name, since }) => [name, since]));
  const wanted = granted.map(({ since, bindings }) => [bindings[0]?.name ?? settings.zone, since] as const);
  return new Map(wanted.filter(([name, since]) => before.get(name) !== since));
}

/** The step takes its own revision for new claims, which on a resolver that starts late is another one. Who waited longest is told alike. */
function rewriteSince({ tables }: RegistryParts, hostId: string, names: Map<Name, number>): void {
  for (const [name, since] of names) {
    const claim = tables.claimsOfName(name).find((one) => one.hostId === hostId);
    if (claim !== undefined && claim.since !== since) tables.putClaim({ ...claim, since });
  }
}
