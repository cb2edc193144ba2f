import type { Lease } from "../leases.ts";
import type { Leases } from "../tables.ts";
import type { Sql } from "./sql.ts";

/** Leases that outlive the memory of a Durable Object: read once, then kept in both places. */
export function createSqlLeases(sql: Sql): Leases {
  const leases = new Map<string, Lease>();
  for (const row of sql.all("SELECT host_id, expires_at, sequence FROM leases")) {
    leases.set(String(row.host_id), { expiresAt: Number(row.expires_at), sequence: Number(row.sequence) });
  }
  return {
    get: (hostId) => leases.get(hostId),
    entries: () => leases.entries(),
    set(hostId, lease) {
      sql.run("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", hostId, lease.expiresAt, lease.sequence);
      leases.set(hostId, lease);
    },
    delete(hostId) {
      sql.run("DELETE FROM leases WHERE host_id = ?", hostId);
      leases.delete(hostId);
    },
  };
}
