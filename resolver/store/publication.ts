import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Name } from "../../shared/name.ts";
import type { Counters, ZoneEntry } from "../records.ts";
import type { Zone } from "../zone/zone.ts";
import type { Sql } from "./sql.ts";

/** What a copy of the zone holds at an owner name: the entry, and the serial and revision it was true at; no deadline. */
export interface PublishedEntry {
  serial: number;
  revision?: number;
  entry: ZoneEntry;
}

/** Where the copy is written. Workers KV takes one write a second per key and forgets nothing by itself. */
export interface CopyWriter {
  put(owner: string, text: string): Promise<void>;
  delete(owner: string): Promise<void>;
}

export interface PublicationParts {
  sql: Sql;
  zone: Zone;
  copy: CopyWriter;
  /** What the zone has now. */
  counters: () => Counters;
  /** Milliseconds since 1970. */
  now: () => number;
  log: Log;
}

/** What the copy holds already comes first: a name that is wrong there matters more than one that is missing. Then the oldest. */
const queue = `SELECT u.owner, u.revision FROM unpublished u LEFT JOIN published p ON p.owner = u.owner
  ORDER BY p.owner IS NULL, u.revision LIMIT ?`;
/** A Worker invocation may make 1,000 KV operations (Cloudflare's limits); half of that leaves room for everything else. */
const batchSize = 500;
/** Between two writes of one key (Cloudflare's limits); more would be refused with 429. */
const betweenWritesMs = 1000;
const firstRetryMs = 1000;
const longestRetryMs = 60_000;

/**
 * Brings the copy after the zone. What changed is noted in the transaction that changed it, so nothing is forgotten when a write to the
 * copy fails: it is tried again, ever more rarely but for ever. Only entries without an ephemeral port are copied: a copy may be a
 * minute old.
 */
export class Publication {
  readonly #parts: PublicationParts;
  /** Of names written within the last second. */
  readonly #writtenAt = new Map<string, number>();
  #batch: Promise<void> | undefined;
  #failures = 0;
  #notBefore: number;

  constructor(parts: PublicationParts) {
    this.#parts = parts;
    // Which names were written last is forgotten by now; that any were, is not.
    const copiedAt = parts.sql.all("SELECT copied_at FROM registry")[0]?.copied_at;
    this.#notBefore = typeof copiedAt === "number" ? copiedAt + betweenWritesMs : 0;
  }

  /** To be called inside the transaction that changed `owners`. */
  note(owners: Name[], revision: number): void {
    for (const owner of owners)
      this.#parts.sql.run("INSERT OR REPLACE INTO unpublished VALUES (?, ?)", owner, revision);
  }

  /** When `publish` has something to do, in milliseconds of the clock; Infinity when nothing is noted. */
  dueAt(): number {
    if (this.#parts.sql.all("SELECT 1 FROM unpublished LIMIT 1").length === 0)
      return Number.POSITIVE_INFINITY;
    const now = this.#parts.now();
    return Math.max(this.#batch === undefined ? now : now + betweenWritesMs, this.#notBefore);
  }

  /**
   * Writes up to 500 names, if it is time. What fails, here or at the copy, is logged and stays noted: it never rejects. Called while a
   * batch is being written, it resolves with that one.
   */
  publish(): Promise<void> {
    // One after the other: of two writes of a name under way at once, the older could come to rest last.
    this.#batch ??= this.#publishBatch()
      .catch((fault: unknown) => this.#failed("the names that changed", fault))
      .finally(() => {
        this.#batch = undefined;
      });
    return this.#batch;
  }

  async #publishBatch(): Promise<void> {
    const { sql, now } = this.#parts;
    const startedAt = now();
    if (startedAt < this.#notBefore) return;
    const noted = this.#ready(startedAt);
    if (noted.length === 0) return;
    sql.run("UPDATE registry SET copied_at = ?", Math.floor(startedAt));
    const results = await Promise.allSettled(noted.map(({ owner }) => this.#publishOne(owner)));
    const faults = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    results.forEach(({ status }, index) => {
      const { owner, revision } = noted[index] ?? {};
      if (status === "rejected" || owner === undefined || revision === undefined) return;
      // The name may have changed again while its write was under way: then it has a newer note, which stays.
      sql.run("DELETE FROM unpublished WHERE owner = ? AND revision = ?", owner, revision);
    });
    if (faults.length === 0) this.#failures = 0;
    else this.#failed(`${faults.length} of ${noted.length} names`, faults[0]);
  }

  #failed(which: string, fault: unknown): void {
    const { now, log } = this.#parts;
    const waitMs = Math.min(firstRetryMs * 2 ** Math.min(this.#failures++, 30), longestRetryMs);
    this.#notBefore = now() + waitMs;
    log.warn(`cannot copy ${which}, tried again in ${waitMs / 1000} s: ${describeFault(fault)}`);
  }

  /** What may be written now. When that is nothing, it says to itself when something may. */
  #ready(now: number): { owner: string; revision: number }[] {
    for (const [owner, at] of this.#writtenAt) if (at + betweenWritesMs <= now) this.#writtenAt.delete(owner);
    const rows = this.#parts.sql.all(queue, batchSize + this.#writtenAt.size);
    const noted = rows.map((row) => ({ owner: String(row.owner), revision: Number(row.revision) }));
    const ready = noted.filter(({ owner }) => !this.#writtenAt.has(owner)).slice(0, batchSize);
    if (noted.length > 0 && ready.length === 0)
      this.#notBefore = Math.min(...this.#writtenAt.values()) + betweenWritesMs;
    return ready;
  }

  async #publishOne(owner: string): Promise<void> {
    const { sql, zone, copy, counters } = this.#parts;
    const entry = zone.entry(owner);
    const isThere = sql.all("SELECT 1 FROM published WHERE owner = ?", owner).length > 0;
    if (entry?.fixed) {
      // Noted as there before it is: a crash in between costs a needless delete later, the other order a ghost for ever.
      if (!isThere) sql.run("INSERT INTO published VALUES (?)", owner);
      const text = JSON.stringify({ ...counters(), entry } satisfies PublishedEntry);
      await this.#write(owner, copy.put(owner, text));
    } else if (isThere) {
      await this.#write(owner, copy.delete(owner));
      sql.run("DELETE FROM published WHERE owner = ?", owner);
    }
  }

  /** A write that fails counts as well: it may have been made. */
  async #write(owner: string, write: Promise<void>): Promise<void> {
    this.#writtenAt.set(owner, this.#parts.now());
    try {
      await write;
    } finally {
      this.#writtenAt.set(owner, this.#parts.now());
    }
  }
}
