import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import { type Declaration, declarationsOf } from "./chunks.ts";
import type { Head, HostTurn, Keys, Place } from "./layout.ts";
import { setOrDelete } from "./maps.ts";
import { parseChunk, parseHead, parseTurn } from "./values.ts";
import type { Item } from "./wire.ts";

/** Where a part of a host stands. */
export type HostPlace = Extract<Place, { kind: "head" | "turn" | "chunk" }>;

/** etcd's revisions of what a host is judged by; 0 for what is not there. */
export interface HostRevisions {
  head: number;
  turn: number;
}

/** What stands in etcd for each host, part by part, as the watch brings it. A part that cannot be understood leaves the former one. */
export class HeldHosts {
  readonly heads = new Map<string, Head>();
  readonly turns = new Map<string, HostTurn>();
  readonly #keys: Keys;
  readonly #log: Log;
  /** By host, then by lease and hash. */
  readonly #chunks = new Map<string, Map<string, string>>();
  /** Also of what could not be understood: who writes over it has to know. */
  readonly #headRevisions = new Map<string, number>();
  readonly #turnRevisions = new Map<string, number>();
  /** Those of which a part is wanting. */
  readonly #broken = new Set<string>();

  constructor(keys: Keys, log: Log) {
    this.#keys = keys;
    this.#log = log;
  }

  /** An undefined `item` is one that went. Throws when it is not as berth writes it. */
  take(place: HostPlace, item: Item | undefined): void {
    const { hostId } = place;
    switch (place.kind) {
      case "head":
        // First: what cannot be understood leaves the rest as it was.
        setOrDelete(this.#headRevisions, hostId, item?.modRevision);
        setOrDelete(this.heads, hostId, item === undefined ? undefined : parseHead(item.value));
        if (item === undefined) this.#broken.delete(hostId);
        break;
      case "turn":
        setOrDelete(this.#turnRevisions, hostId, item?.modRevision);
        setOrDelete(this.turns, hostId, item === undefined ? undefined : parseTurn(item.value));
        break;
      case "chunk": {
        const chunks = this.#chunks.get(hostId) ?? new Map<string, string>();
        setOrDelete(chunks, `${place.leaseId}/${place.hash}`, item?.value);
        setOrDelete(this.#chunks, hostId, chunks.size === 0 ? undefined : chunks);
      }
    }
  }

  revisionsOf(hostId: string): HostRevisions {
    return { head: this.#headRevisions.get(hostId) ?? 0, turn: this.#turnRevisions.get(hostId) ?? 0 };
  }

  /** The hashes of the host's chunks on that lease. */
  hashesOn(hostId: string, leaseId: string): Set<string> {
    const chunks = this.#chunks.get(hostId)?.keys() ?? [];
    return new Set(
      [...chunks].filter((id) => id.startsWith(`${leaseId}/`)).map((id) => id.slice(leaseId.length + 1)),
    );
  }

  /** Keys of the host's chunks that are not in `kept`. */
  chunkKeysBeside(hostId: string, leaseId: string, kept: ReadonlySet<string>): string[] {
    const ids = [...(this.#chunks.get(hostId)?.keys() ?? [])].map((id) => id.split("/"));
    const stale = ids.filter(([lease, hash = ""]) => lease !== leaseId || !kept.has(hash));
    return stale.map(([lease = "", hash = ""]) => this.#keys.chunk(hostId, lease, hash));
  }

  /** Its turn is there, and everything its head lists. */
  isWhole(hostId: string): boolean {
    const head = this.heads.get(hostId);
    const chunks = this.#chunks.get(hostId);
    if (!this.turns.has(hostId)) return false;
    return head?.chunks.every((hash) => chunks?.has(`${head.leaseId}/${hash}`)) ?? false;
  }

  /** What a host declares, by its head; undefined when a chunk is not there, or not to be understood: then nothing of it counts. */
  declarationsOf(hostId: string): Declaration[] | undefined {
    const head = this.heads.get(hostId);
    if (head === undefined) return undefined;
    try {
      if (!this.isWhole(hostId)) throw new Error("its turn, or a chunk that its head lists, is not there");
      const texts = head.chunks.map((hash) => this.#chunks.get(hostId)?.get(`${head.leaseId}/${hash}`) ?? "");
      const declarations = declarationsOf(texts.flatMap(parseChunk));
      this.#broken.delete(hostId);
      return declarations;
    } catch (fault) {
      this.#broken.add(hostId);
      const which = `host ${head.host.hostLabel} (${hostId})`;
      this.#log.error(`etcd holds ${which} in part only, so its former set stays: ${describeFault(fault)}`);
      return undefined;
    }
  }

  isBroken(hostId: string): boolean {
    return this.#broken.has(hostId);
  }

  keysHeld(): string[] {
    return [
      ...[...this.#headRevisions.keys()].map(this.#keys.head),
      ...[...this.#turnRevisions.keys()].map(this.#keys.turn),
      ...[...this.#chunks.keys()].flatMap((hostId) => this.chunkKeysBeside(hostId, "", new Set())),
    ];
  }
}
