import type { Name } from "../shared/name.ts";
import type { NewAuditEntry } from "./audit.ts";
import type { Change } from "./changes.ts";
import type { Counters } from "./records.ts";
import type { RegistryParts } from "./registry.ts";
import type { Source } from "./zone/zone.ts";

/** One step of the registry while it is being made: what it touched, and what has to follow from that before it is whole. */
export interface Draft {
  parts: RegistryParts;
  /** Milliseconds of the registry's clock, the same for the whole step. */
  now: number;
  /** The revision this step makes. */
  revision: number;
  /** Names whose answers may have changed. */
  names: Set<Name>;
  /** Hosts whose record or grants changed. */
  hosts: Set<string>;
  /** Names about which it has to be settled anew who may answer. */
  unsettled: Set<Name>;
  /** Those a host declares no more: settled first, because a name that is kept from now on takes room. */
  vacated: Set<Name>;
  /** Tokens whose room for bindings may have changed. */
  tokens: Set<string>;
  /** Of limited tokens looked at: the claims there is no room for. */
  withoutRoom: Map<string, Set<string>>;
  /** Hosts to which somebody else was granted or refused something. */
  regranted: Set<string>;
  /** Owners of hosts whose token is another owner's by this step. */
  formerOwners: Map<string, string>;
  /** What the audit record is told of the step, made when it is settled. */
  entries: (() => NewAuditEntry)[];
  /** The earliest end of a name this step began to keep. */
  holdEnd: number;
  sources: Map<string, Source>;
  /** What stood in the zone before, by owner name; only while somebody observes it. */
  before: Map<Name, string>;
}

export function beginDraft(parts: RegistryParts): Draft {
  const now = Math.floor(parts.now());
  const next = parts.nextCounters ?? countersAfter;
  const counters = next(parts.tables.counters(), now);
  parts.tables.setCounters(counters);
  const { revision } = counters;
  return {
    parts,
    now,
    revision,
    names: new Set(),
    hosts: new Set(),
    unsettled: new Set(),
    vacated: new Set(),
    tokens: new Set(),
    withoutRoom: new Map(),
    regranted: new Set(),
    formerOwners: new Map(),
    entries: [],
    holdEnd: Number.POSITIVE_INFINITY,
    sources: new Map(),
    before: new Map(),
  };
}

/** Serial: the larger of last + 1 and Unix seconds, so that a registry that lost its past does not go back (RFC 1982). */
function countersAfter({ revision, serial }: Counters, now: number): Counters {
  return { revision: revision + 1, serial: Math.max(serial + 1, Math.floor(now / 1000)) };
}

/** To be called before the first write that could change what is answered for `name`. */
export function touchName(draft: Draft, name: Name): void {
  draft.names.add(name);
  touchSource(draft, name, { name });
}

/** The same for a host's own addresses. */
export function touchHostLabel(draft: Draft, hostLabel: string): void {
  touchSource(draft, `host ${hostLabel}`, { hostLabel });
}

/** As `touchName`, for a name that has to be settled anew. */
export function unsettle(draft: Draft, name: Name): void {
  touchName(draft, name);
  draft.unsettled.add(name);
}

/** As `unsettle`, for a name a host declares no more. */
export function vacate(draft: Draft, name: Name): void {
  touchName(draft, name);
  draft.vacated.add(name);
}

/** After the last write of the step, in its transaction. */
export function endDraft(draft: Draft): Change {
  const { parts, revision, names, hosts, sources } = draft;
  parts.zone.forget(sources.values());
  for (const entry of draft.entries) parts.audit?.recordChange(entry());
  parts.observeOwners?.(changedOwners(draft));
  return { revision, names: [...names], hosts: [...hosts] };
}

function touchSource(draft: Draft, key: string, source: Source): void {
  if (draft.sources.has(key)) return;
  draft.sources.set(key, source);
  if (draft.parts.observeOwners === undefined) return;
  for (const entry of draft.parts.zone.entriesOf(source))
    draft.before.set(entry.owner, JSON.stringify(entry));
}

function changedOwners({ parts, sources, before }: Draft): Name[] {
  const after = new Map(
    [...sources.values()]
      .flatMap((source) => parts.zone.entriesOf(source))
      .map((entry) => [entry.owner, JSON.stringify(entry)]),
  );
  return [...new Set([...before.keys(), ...after.keys()])].filter(
    (owner) => before.get(owner) !== after.get(owner),
  );
}
