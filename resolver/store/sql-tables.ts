import type { Refusal } from "../../shared/binding.ts";
import type { Name } from "../../shared/name.ts";
import type { Claim, Counters, HostRecord } from "../records.ts";
import type { Tables } from "../tables.ts";
import type { Sql, SqlRow } from "./sql.ts";

const claimColumns = "host_id, name, since, bindings, refusal";

/** The registry's tables in SQLite, for every runtime that has one. The schema must be current. */
export function createSqlTables(sql: Sql): Tables {
  const claims = (where: string, ...params: string[]) => {
    return sql.all(`SELECT ${claimColumns} FROM claims ${where}`, ...params).map(claimFrom);
  };
  // Every answer carries the serial: it must not cost a statement each.
  let counters: Counters | undefined;
  return {
    transaction(change) {
      try {
        return sql.transaction(change);
      } catch (fault) {
        counters = undefined;
        throw fault;
      }
    },
    counters() {
      const row = counters === undefined ? sql.all("SELECT revision, serial FROM registry")[0] : undefined;
      counters ??= { revision: Number(row?.revision ?? 0), serial: Number(row?.serial ?? 0) };
      return counters;
    },
    setCounters(next) {
      sql.run("UPDATE registry SET revision = ?, serial = ?", next.revision, next.serial);
      counters = next;
    },
    host: (hostId) => sql.all("SELECT record FROM hosts WHERE host_id = ?", hostId).map(hostFrom)[0],
    hosts: () => sql.all("SELECT record FROM hosts").map(hostFrom),
    putHost(host) {
      const { hostId, hostLabel } = host;
      // Not OR REPLACE: that would drop another host's row if two labels ever met, instead of failing.
      const upsert =
        "ON CONFLICT (host_id) DO UPDATE SET host_label = excluded.host_label, record = excluded.record";
      sql.run(`INSERT INTO hosts VALUES (?, ?, ?) ${upsert}`, hostId, hostLabel, JSON.stringify(host));
    },
    deleteHost: (hostId) => sql.run("DELETE FROM hosts WHERE host_id = ?", hostId),
    isLabelTaken: (label, hostId) => {
      return sql.all("SELECT 1 FROM hosts WHERE host_label = ? AND host_id <> ?", label, hostId).length > 0;
    },
    claimsOfHost: (hostId) => claims("WHERE host_id = ?", hostId),
    claimsOfName: (name) => claims("WHERE name = ?", name),
    refusalsOf(hostId) {
      const query = "SELECT refusal FROM claims WHERE host_id = ? AND refusal IS NOT NULL ORDER BY name";
      return sql.all(query, hostId).map((row) => JSON.parse(String(row.refusal)) as Refusal);
    },
    claims: () => claims(""),
    putClaim({ hostId, name, since, bindings, refusal }) {
      const refused = refusal === undefined ? null : JSON.stringify(refusal);
      const row = [hostId, name, since, JSON.stringify(bindings), refused];
      sql.run("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?)", ...row);
    },
    deleteClaim: (hostId, name) => sql.run("DELETE FROM claims WHERE host_id = ? AND name = ?", hostId, name),
  };
}

function hostFrom(row: SqlRow): HostRecord {
  return JSON.parse(String(row.record)) as HostRecord;
}

function claimFrom(row: SqlRow): Claim {
  const claim = {
    hostId: String(row.host_id),
    name: String(row.name) as Name,
    since: Number(row.since),
    bindings: JSON.parse(String(row.bindings)) as Claim["bindings"],
  };
  if (row.refusal === null) return claim;
  return { ...claim, refusal: JSON.parse(String(row.refusal)) as Refusal };
}
