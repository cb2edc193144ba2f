import type { Name } from "../../../shared/name.ts";
import { applyStep, replaceHost } from "../../apply.ts";
import { type Draft, unsettle } from "../../draft.ts";
import { asGranted } from "../../own-names.ts";
import type { Counters, Hold } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import type { TokenRecord } from "../../token-table.ts";
import { bindingsOf, decode, type Head, type Keys, type Meta, placeOf } from "./layout.ts";
import type { Item, WatchEvent } from "./wire.ts";

/** What one look at etcd brought: what stands there now, and what is gone. */
interface News {
  hosts: Set<string>;
  holds: Map<Name, Hold | undefined>;
  tokens: Map<string, TokenRecord | undefined>;
  changedAt: number;
  deletedAt: number;
}

export interface MirrorParts {
  keys: Keys;
  registry: RegistryParts;
  /** Called when a token came, changed or went. */
  onToken(id: string, isRevoked: boolean): void;
}

/**
 * What this resolver knows of etcd, and the tables that follow from it. Every resolver applies the same events in the same order, so all
 * answer alike at the same revision. Nothing in here is changed but by what etcd says.
 */
export class Mirror {
  /** etcd's revision up to which everything is in the tables. */
  revision = 0;
  /** The one of the last change to hosts or holds: what answers and lists follow from. */
  changedAt = 0;
  /** The one of the last key that went, and of the mark that tells of such. */
  deletedAt = 0;
  markRevision = 0;
  readonly heads = new Map<string, { head: Head; modRevision: number }>();
  readonly tokens = new Map<string, { record: TokenRecord; modRevision: number }>();
  readonly #parts: MirrorParts;
  readonly #chunks = new Map<string, Map<string, string>>();
  readonly #holdRevisions = new Map<Name, number>();
  readonly #waiting = new Set<() => void>();
  #meta: Meta = { serialBase: 0 };

  constructor(parts: MirrorParts) {
    this.#parts = parts;
  }

  /** Takes everything below the prefix as of `revision`; what it does not hold is gone. For a start, and after a gap in the history. */
  replace(items: Item[], revision: number): void {
    const present = new Set(items.map(({ key }) => key));
    const gone = this.#keysHeld().filter((key) => !present.has(key));
    const events: WatchEvent[] = [
      // When they went is not known; the mark tells of it.
      ...gone.map((key): WatchEvent => ({ kind: "delete", key, modRevision: 0 })),
      // Chunks before the heads that list them.
      ...items
        .toSorted((a, b) => a.modRevision - b.modRevision)
        .map((item): WatchEvent => ({ kind: "put", item })),
    ];
    this.apply(events, revision);
    this.#parts.registry.tables.setCounters(this.counters());
  }

  apply(events: WatchEvent[], revision: number): void {
    const news: News = { hosts: new Set(), holds: new Map(), tokens: new Map(), changedAt: 0, deletedAt: 0 };
    for (const event of events) this.#take(event, news);
    this.changedAt = Math.max(this.changedAt, news.changedAt);
    this.deletedAt = Math.max(this.deletedAt, news.deletedAt);
    if (news.hosts.size + news.holds.size > 0) this.#follow(news);
    else if (news.changedAt > 0) this.#parts.registry.tables.setCounters(this.counters());
    for (const [id, record] of news.tokens) this.#parts.onToken(id, record?.revokedAt !== null);
    this.progress(revision);
  }

  /** Nothing of ours happened up to `revision`. */
  progress(revision: number): void {
    this.revision = Math.max(this.revision, revision);
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves as soon as `isTrue` is, looked at whenever the tables changed; rejects with its reason when the signal aborts first. */
  async until(isTrue: () => boolean, signal: AbortSignal): Promise<void> {
    if (isTrue()) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => (isTrue() ? resolve() : undefined);
    const giveUp = (): void => reject(signal.reason);
    this.#waiting.add(look);
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      await promise;
    } finally {
      this.#waiting.delete(look);
      signal.removeEventListener("abort", giveUp);
    }
  }

  /** The revision that last changed the hold on `name`; 0 when there is none. */
  holdRevision(name: Name): number {
    return this.#holdRevisions.get(name) ?? 0;
  }

  chunksOf(hostId: string): ReadonlyMap<string, string> {
    return this.#chunks.get(hostId) ?? new Map();
  }

  /** Revision and SOA serial: the same on every resolver that has come as far, also on one that has just started. */
  counters(): Counters {
    return { revision: this.changedAt, serial: this.#meta.serialBase + this.changedAt };
  }

  /** A key went, and nothing that is still there tells of it to a resolver that starts now. */
  get lacksMark(): boolean {
    return this.deletedAt > this.markRevision;
  }

  #keysHeld(): string[] {
    const { keys } = this.#parts;
    return [
      ...[...this.heads.keys()].map((hostId) => keys.head(hostId)),
      ...[...this.#chunks].flatMap(([hostId, chunks]) =>
        [...chunks.keys()].map((hash) => keys.chunk(hostId, hash)),
      ),
      ...[...this.#holdRevisions.keys()].map((name) => keys.hold(name)),
      ...[...this.tokens.keys()].map((id) => keys.token(id)),
    ];
  }

  #take(event: WatchEvent, news: News): void {
    const { keys } = this.#parts;
    const key = event.kind === "put" ? event.item.key : event.key;
    const value = event.kind === "put" ? event.item.value : undefined;
    const modRevision = event.kind === "put" ? event.item.modRevision : event.modRevision;
    const place = placeOf(keys, key);
    if (place?.kind === "mark") this.markRevision = modRevision;
    if (place?.kind === "head" || place?.kind === "hold" || place?.kind === "mark") {
      news.changedAt = Math.max(news.changedAt, modRevision);
      if (value === undefined) news.deletedAt = Math.max(news.deletedAt, modRevision);
    }
    switch (place?.kind) {
      case "meta":
        if (value !== undefined) this.#meta = decode<Meta>(value);
        break;
      case "head":
        if (value === undefined) this.heads.delete(place.hostId);
        else this.heads.set(place.hostId, { head: decode<Head>(value), modRevision });
        news.hosts.add(place.hostId);
        break;
      case "chunk":
        this.#takeChunk(place.hostId, place.hash, value);
        break;
      case "hold":
        if (value === undefined) this.#holdRevisions.delete(place.name);
        else this.#holdRevisions.set(place.name, modRevision);
        news.holds.set(place.name, value === undefined ? undefined : decode<Hold>(value));
        break;
      case "token":
        this.#takeToken(place.id, value === undefined ? undefined : decode<TokenRecord>(value), modRevision);
        news.tokens.set(place.id, this.tokens.get(place.id)?.record);
        break;
      // A label follows from its host's head, and what a later berth keeps here is its own affair.
    }
  }

  #takeChunk(hostId: string, hash: string, text: string | undefined): void {
    const chunks = this.#chunks.get(hostId) ?? new Map<string, string>();
    if (text === undefined) chunks.delete(hash);
    else chunks.set(hash, text);
    if (chunks.size === 0) this.#chunks.delete(hostId);
    else this.#chunks.set(hostId, chunks);
  }

  #takeToken(id: string, record: TokenRecord | undefined, modRevision: number): void {
    if (record === undefined) this.tokens.delete(id);
    else this.tokens.set(id, { record, modRevision });
  }

  #follow(news: News): void {
    const { registry } = this.#parts;
    const { change } = applyStep(registry, (draft) => {
      for (const [name, hold] of news.holds) {
        unsettleHold(draft, name, hold);
      }
      for (const hostId of news.hosts) this.#replaceHost(draft, hostId);
    });
    registry.onCommitted?.(change);
  }

  #replaceHost(draft: Draft, hostId: string): void {
    const { registry } = this.#parts;
    const known = registry.tables.claimsOfHost(hostId);
    const head = this.heads.get(hostId)?.head;
    if (head === undefined) {
      replaceHost(draft, hostId, undefined, known, new Map());
      return;
    }
    const grantsRevision = registry.tables.host(hostId)?.grantsRevision ?? 0;
    const chunks = this.chunksOf(hostId);
    const bindings = bindingsOf(head.chunks.flatMap((hash) => chunks.get(hash) ?? []));
    const granted = bindings.map((binding) => asGranted(binding, head.host, registry.settings.zone));
    const claims = Map.groupBy(granted, ({ name }) => name);
    replaceHost(draft, hostId, { ...head.host, grantsRevision }, known, claims);
  }
}

function unsettleHold(draft: Draft, name: Name, hold: Hold | undefined): void {
  const { tables } = draft.parts;
  const before = tables.hold(name);
  // A kept name took room of its token.
  if (before?.until !== undefined && hold?.until === undefined) draft.tokens.add(before.tokenId);
  unsettle(draft, name);
  if (hold === undefined) tables.deleteHold(name);
  else tables.putHold(hold);
}
