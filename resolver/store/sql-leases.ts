import type { Lease } from "../leases.ts";
import type { Leases } from "../tables.ts";
import type { Sql, SqlRow } from "./sql.ts";
import { maxKeptTurns } from "./volatile-leases.ts";

/**
 * Leases that outlive the memory of a Durable Object. Read one by one when they are asked for: after an eviction a push costs as many
 * rows among a thousand hosts as among ten. Turns of hosts that are gone stand apart, so that a look at all leases does not meet them.
 */
export function createSqlLeases(sql: Sql, makeGeneration: () => string, maxKept = maxKeptTurns): Leases {
  const known = new Map<string, Lease>();
  const registry = sql.all("SELECT generation, soonest FROM registry")[0];
  let generation = typeof registry?.generation === "string" ? registry.generation : begin();
  let soonest = typeof registry?.soonest === "number" ? registry.soonest : Number.POSITIVE_INFINITY;
  let kept: number | undefined;

  function begin(): string {
    const fresh = makeGeneration();
    sql.run("UPDATE registry SET generation = ?", fresh);
    return fresh;
  }

  function setSoonest(at: number): void {
    if (at === soonest) return;
    soonest = at;
    sql.run("UPDATE registry SET soonest = ?", Number.isFinite(at) ? at : null);
  }

  function get(hostId: string): Lease | undefined {
    const lease = known.get(hostId) ?? readLease(sql, hostId) ?? readTurn(sql, hostId);
    if (lease !== undefined) known.set(hostId, lease);
    return lease;
  }

  function forgetTurn(hostId: string): void {
    sql.run("DELETE FROM turns WHERE host_id = ?", hostId);
    if (kept !== undefined) kept--;
  }

  function countTurns(): number {
    return Number(sql.all("SELECT COUNT(*) AS kept FROM turns")[0]?.kept ?? 0);
  }

  return {
    generation: () => generation,
    soonest: () => soonest,
    raiseSoonest: setSoonest,
    get,
    set(hostId, lease) {
      const { expiresAt, sequence, epoch } = lease;
      if (get(hostId)?.expiresAt === 0) forgetTurn(hostId);
      sql.run("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", hostId, expiresAt, sequence, epoch);
      known.set(hostId, lease);
      if (expiresAt > 0) setSoonest(Math.min(soonest, expiresAt));
    },
    end(hostId) {
      const lease = get(hostId);
      if (lease === undefined) return;
      sql.run("INSERT OR REPLACE INTO turns VALUES (?, ?, ?)", hostId, lease.sequence, lease.epoch);
      sql.run("DELETE FROM leases WHERE host_id = ?", hostId);
      known.set(hostId, { ...lease, expiresAt: 0 });
      // Counted anew before anything is forgotten: one host may have ended more than once.
      if (kept === undefined || ++kept > maxKept) kept = countTurns();
      if (kept <= maxKept) return;
      // Not the oldest alone: a forgotten turn could be played back, and only a new generation refuses all of them.
      sql.run("DELETE FROM turns");
      known.clear();
      kept = 0;
      generation = begin();
    },
    *running() {
      for (const row of sql.all("SELECT host_id, expires_at, sequence, epoch FROM leases"))
        yield [String(row.host_id), leaseFrom(row)];
    },
  };
}

function readLease(sql: Sql, hostId: string): Lease | undefined {
  return sql
    .all("SELECT expires_at, sequence, epoch FROM leases WHERE host_id = ?", hostId)
    .map(leaseFrom)[0];
}

function readTurn(sql: Sql, hostId: string): Lease | undefined {
  return sql
    .all("SELECT 0 AS expires_at, sequence, epoch FROM turns WHERE host_id = ?", hostId)
    .map(leaseFrom)[0];
}

function leaseFrom(row: SqlRow): Lease {
  return { expiresAt: Number(row.expires_at), sequence: Number(row.sequence), epoch: Number(row.epoch) };
}
