import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Name } from "../../shared/name.ts";
import type { ZoneEntry } from "../records.ts";
import type { Zone } from "../zone/zone.ts";
import type { Sql } from "./sql.ts";

/** What a copy of the zone holds at an owner name: the entry and the serial it was true at; no deadline. */
export interface PublishedEntry {
  serial: number;
  entry: ZoneEntry;
}

/** Where the copy is written. Workers KV takes one write a second per key and forgets nothing by itself. */
export interface CopyWriter {
  put(owner: string, text: string): Promise<void>;
  delete(owner: string): Promise<void>;
}

/** What the copy holds already comes first: a name that is wrong there matters more than one that is missing. Then the oldest. */
const queue = `SELECT u.owner, u.revision FROM unpublished u LEFT JOIN published p ON p.owner = u.owner
  ORDER BY p.owner IS NULL, u.revision LIMIT ?`;
/** A Worker invocation may make 1,000 KV operations (Cloudflare's limits); half of that leaves room for everything else. */
const batchSize = 500;

/**
 * Brings the copy after the zone. What changed is noted in the transaction that changed it, so nothing is forgotten when a write to the
 * copy fails. Only entries without an ephemeral port are copied: a copy may be a minute old.
 */
export class Publication {
  private readonly sql: Sql;
  private readonly zone: Zone;
  private readonly copy: CopyWriter;
  private readonly log: Log;

  constructor(sql: Sql, zone: Zone, copy: CopyWriter, log: Log) {
    this.sql = sql;
    this.zone = zone;
    this.copy = copy;
    this.log = log;
  }

  /** To be called inside the transaction that changed `owners`. */
  note(owners: Name[], revision: number): void {
    for (const owner of owners)
      this.sql.run("INSERT OR REPLACE INTO unpublished VALUES (?, ?)", owner, revision);
  }

  isPending(): boolean {
    return this.sql.all("SELECT 1 FROM unpublished LIMIT 1").length > 0;
  }

  /** Writes up to 500 names. What fails stays noted. */
  async publish(serial: number): Promise<void> {
    const noted = this.sql.all(queue, batchSize);
    const results = await Promise.allSettled(noted.map((row) => this.publishOne(String(row.owner), serial)));
    results.forEach((result, index) => {
      const row = noted[index];
      if (row === undefined) return;
      const owner = String(row.owner);
      if (result.status === "rejected")
        this.log.warn(`cannot copy ${owner}: ${describeFault(result.reason)}`);
      // The name may have changed again while its write was under way: then it has a newer note, which stays.
      else
        this.sql.run("DELETE FROM unpublished WHERE owner = ? AND revision = ?", owner, Number(row.revision));
    });
  }

  private async publishOne(owner: string, serial: number): Promise<void> {
    const entry = this.zone.entry(owner);
    const isThere = this.sql.all("SELECT 1 FROM published WHERE owner = ?", owner).length > 0;
    if (entry?.fixed) {
      // Noted as there before it is: a crash in between costs a needless delete later, the other order a ghost for ever.
      if (!isThere) this.sql.run("INSERT INTO published VALUES (?)", owner);
      await this.copy.put(owner, JSON.stringify({ serial, entry } satisfies PublishedEntry));
    } else if (isThere) {
      await this.copy.delete(owner);
      this.sql.run("DELETE FROM published WHERE owner = ?", owner);
    }
  }
}
