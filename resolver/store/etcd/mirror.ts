import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { Name } from "../../../shared/name.ts";
import type { Counters, Hold } from "../../records.ts";
import type { RegistryParts } from "../../registry.ts";
import type { TokenRecord } from "../../token-table.ts";
import { followNews } from "./follow-news.ts";
import { HeldHosts, type HostPlace } from "./held-hosts.ts";
import { Lapses } from "./lapses.ts";
import { type Keys, type Meta, type Place, placeOf } from "./layout.ts";
import { setOrDelete } from "./maps.ts";
import { unavailable } from "./unavailable.ts";
import { parseHold, parseMeta, parseToken } from "./values.ts";
import { type Item, revisionOf, type WatchEvent } from "./wire.ts";

/** What one look at etcd changed. */
export interface News {
  hosts: Set<string>;
  /** Hosts whose turn changed. */
  turns: Set<string>;
  holds: Map<Name, Hold | undefined>;
  /** Of tokens that are no longer good. */
  revoked: Set<string>;
  changedAt: number;
  deletedAt: number;
}

export interface MirrorParts {
  keys: Keys;
  registry: RegistryParts;
  /** Told when etcd turns out to be another one than before: what was said to it is worth nothing any more. */
  onNewLife(): void;
  /** Told once of each token that was revoked or is gone. */
  onRevoked(tokenId: string): void;
  /** Aborts when `until` has waited long enough for our own watch. */
  patience(): AbortSignal;
  log: Log;
}

/**
 * What this resolver knows of etcd, and the tables that follow from it. Every resolver applies the same events in the same order, so all
 * answer alike at the same revision. Nothing in here is changed but by what etcd says. A value that is not as berth writes it is told in
 * the log and left alone: what it stands for stays as it was.
 */
export class Mirror {
  /** etcd's revision up to which everything is in the tables. */
  revision = 0;
  /** The one of the mark. */
  markRevision = 0;
  readonly hosts: HeldHosts;
  readonly lapses = new Lapses();
  readonly labels = new Map<string, { hostId: string; leaseId: string | undefined; modRevision: number }>();
  readonly tokens = new Map<string, { record: TokenRecord; modRevision: number }>();
  readonly #parts: MirrorParts;
  /** Also of those that could not be understood: who writes over one has to know. */
  readonly #holdRevisions = new Map<Name, number>();
  readonly #waiting = new Set<{ look: () => void; giveUp: (reason: unknown) => void }>();
  /** The revision of the last change to hosts or holds: what answers and lists follow from. */
  #changedAt = 0;
  #deletedAt = 0;
  #meta: Meta = { life: "", serialBase: 0, revisionBase: 0 };
  #metaText: string | undefined;

  constructor(parts: MirrorParts) {
    this.#parts = parts;
    this.hosts = new HeldHosts(parts.keys, parts.log);
  }

  /** Takes everything below the prefix as of `revision`; what it does not hold is gone. For a start, and after a gap in the history. */
  replace(items: Item[], revision: number): void {
    const { keys } = this.#parts;
    const meta = items.find(({ key }) => key === keys.meta)?.value;
    // An etcd that was emptied, or restored from an older backup, counts anew.
    if (revision < this.revision || !this.isOfLife(meta)) this.#beginAnew();
    const present = new Set(items.map(({ key }) => key));
    const gone = this.#keysHeld().filter((key) => !present.has(key));
    const events: WatchEvent[] = [
      // When they went is not known: here they go now, and the mark that is due then brings the other resolvers as far.
      ...gone.map((key): WatchEvent => ({ kind: "delete", key, modRevision: revision })),
      // Chunks before the heads that list them.
      ...items
        .toSorted((a, b) => a.modRevision - b.modRevision)
        .map((item): WatchEvent => ({ kind: "put", item })),
    ];
    this.apply(events, revision);
    this.lapses.restart(this.markRevision);
    this.#showCounters();
  }

  /** Whether what is shown would count from less with these items, which another life of etcd began with. */
  wouldGoBack(items: Item[]): boolean {
    const { keys } = this.#parts;
    const meta = items.find(({ key }) => key === keys.meta)?.value;
    if (meta === undefined || this.#metaText === undefined || this.isOfLife(meta)) return false;
    try {
      const counting = items.filter(({ key }) => isCounted(placeOf(keys, key)));
      const changedAt = counting.reduce((last, { modRevision }) => Math.max(last, modRevision), 0);
      return isBehind(countersOf(parseMeta(meta), changedAt), this.counters());
    } catch {
      // It is told when it is taken.
      return false;
    }
  }

  apply(events: WatchEvent[], revision: number): void {
    const { registry, onRevoked, log } = this.#parts;
    const news: News = {
      hosts: new Set(),
      turns: new Set(),
      holds: new Map(),
      revoked: new Set(),
      changedAt: 0,
      deletedAt: 0,
    };
    for (const event of events) this.#takeOrLeave(event, news);
    this.#changedAt = Math.max(this.#changedAt, news.changedAt);
    this.#deletedAt = Math.max(this.#deletedAt, news.deletedAt);
    if (news.hosts.size + news.turns.size + news.holds.size > 0) followNews(registry, this, news, log);
    else if (news.changedAt > 0) this.#showCounters();
    for (const tokenId of news.revoked) onRevoked(tokenId);
    this.progress(revision);
  }

  /** Nothing of ours happened up to `revision`. */
  progress(revision: number): void {
    this.revision = Math.max(this.revision, revision);
    for (const { look } of [...this.#waiting]) look();
  }

  /** Resolves as soon as `isTrue` is, looked at whenever something changed here; rejects when that takes too long. */
  async until(isTrue: () => boolean): Promise<void> {
    if (isTrue()) return;
    const tooLong = this.#parts.patience();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { look: () => (isTrue() ? resolve() : undefined), giveUp: reject };
    const giveUp = (): void => reject(tooLong.reason);
    this.#waiting.add(waiting);
    tooLong.addEventListener("abort", giveUp, { once: true });
    if (tooLong.aborted) giveUp();
    try {
      await promise;
    } finally {
      this.#waiting.delete(waiting);
      tooLong.removeEventListener("abort", giveUp);
    }
  }

  /** Nothing comes any more: whoever waits is told so. */
  close(): void {
    for (const { giveUp } of [...this.#waiting]) giveUp(unavailable());
  }

  /** The revision that last changed the hold on a name; 0 when there is none. */
  holdRevision(name: Name): number {
    return this.#holdRevisions.get(name) ?? 0;
  }

  /** Revision and SOA serial: the same on every resolver that has come as far, also on one that has just started. */
  counters(): Counters {
    return countersOf(this.#meta, this.#changedAt);
  }

  /** A key went, and nothing that is still there tells of it to a resolver that starts now. */
  get lacksMark(): boolean {
    return this.#deletedAt > this.markRevision;
  }

  /** Whether this is what stands in etcd as its meta: another one is another etcd's, such as one that was emptied. */
  isOfLife(meta: string | undefined): boolean {
    return meta === this.#metaText;
  }

  #beginAnew(): void {
    const isFirst = this.#metaText === undefined;
    this.#changedAt = this.#deletedAt = this.markRevision = this.revision = 0;
    if (!isFirst) this.#parts.onNewLife();
  }

  /** Also whoever counts changes of names has to hear of a revision that brought none: what comes next may be of the same one. */
  #showCounters(): void {
    const { tables, onCommitted } = this.#parts.registry;
    const counters = this.counters();
    tables.setCounters(counters);
    onCommitted?.({ revision: counters.revision, names: [], hosts: [] });
  }

  #keysHeld(): string[] {
    const { keys } = this.#parts;
    return [
      ...(this.markRevision === 0 ? [] : [keys.mark]),
      ...this.hosts.keysHeld(),
      ...[...this.labels.keys()].map(keys.label),
      ...[...this.#holdRevisions.keys()].map(keys.hold),
      ...[...this.tokens.keys()].map(keys.token),
    ];
  }

  #takeOrLeave(event: WatchEvent, news: News): void {
    const key = event.kind === "put" ? event.item.key : event.key;
    try {
      const place = placeOf(this.#parts.keys, key);
      // What a later berth keeps here is its own affair.
      if (place !== undefined) this.#take(place, event, news);
    } catch (fault) {
      this.#parts.log.error(
        `etcd's ${key} is not as berth writes it, and is left alone: ${describeFault(fault)}`,
      );
    }
  }

  #take(place: Place, event: WatchEvent, news: News): void {
    const modRevision = revisionOf(event);
    const item = event.kind === "put" ? event.item : undefined;
    if (isCounted(place)) {
      news.changedAt = Math.max(news.changedAt, modRevision);
      if (item === undefined) news.deletedAt = Math.max(news.deletedAt, modRevision);
    }
    switch (place.kind) {
      case "meta":
        if (item === undefined) break;
        // First: also one that cannot be understood is what stands there, and reading it again does not mend it.
        this.#metaText = item.value;
        this.#meta = parseMeta(item.value);
        break;
      case "mark":
        this.markRevision = item === undefined ? 0 : modRevision;
        this.lapses.markedAt(modRevision);
        break;
      case "head":
      case "turn":
      case "chunk":
        this.#takeOfHost(place, item, modRevision, news);
        break;
      case "label":
        if (item === undefined) this.labels.delete(place.label);
        else this.labels.set(place.label, { hostId: item.value, leaseId: item.lease, modRevision });
        break;
      case "hold":
        setOrDelete(this.#holdRevisions, place.name, item?.modRevision);
        news.holds.set(place.name, item === undefined ? undefined : parseHold(item.value));
        break;
      case "token":
        this.#takeToken(place.id, item, news);
    }
  }

  #takeOfHost(place: HostPlace, item: Item | undefined, modRevision: number, news: News): void {
    // A part that was wanting may be this one.
    if (place.kind === "head" || this.hosts.isBroken(place.hostId)) news.hosts.add(place.hostId);
    else if (place.kind === "turn") news.turns.add(place.hostId);
    const head = place.kind === "head" && item === undefined ? this.hosts.heads.get(place.hostId) : undefined;
    if (head !== undefined) this.lapses.hostGone(place.hostId, head.host.hostLabel, modRevision);
    this.hosts.take(place, item);
  }

  #takeToken(id: string, item: Item | undefined, news: News): void {
    const before = this.tokens.get(id)?.record;
    const record = item === undefined ? undefined : parseToken(item.value);
    setOrDelete(this.tokens, id, record && { record, modRevision: item?.modRevision ?? 0 });
    const wasGood = before === undefined || before.revokedAt === null;
    if (wasGood && record?.revokedAt !== null) news.revoked.add(id);
  }
}

function countersOf({ serialBase, revisionBase }: Meta, changedAt: number): Counters {
  return { revision: revisionBase + changedAt, serial: serialBase + changedAt };
}

function isBehind(one: Counters, other: Counters): boolean {
  return one.revision < other.revision || one.serial < other.serial;
}

/** Revision and serial count changes of these. */
function isCounted(place: Place | undefined): boolean {
  return place?.kind === "head" || place?.kind === "hold" || place?.kind === "mark";
}
