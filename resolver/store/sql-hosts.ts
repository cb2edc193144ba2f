import type { HostRecord } from "../records.ts";
import type { Tables } from "../tables.ts";
import type { Sql } from "./sql.ts";

type HostTables = Pick<Tables, "host" | "hosts" | "hostOfLabel" | "putHost" | "deleteHost">;

/** Hosts in SQLite, and in memory once they were read: they are few, and every answer is compiled from theirs. */
export function createSqlHosts(sql: Sql): HostTables & { forget(): void } {
  const known = new Map<string, HostRecord>();
  let isComplete = false;

  function read(where: string, ...params: string[]): HostRecord[] {
    const rows = sql.all(`SELECT record FROM hosts ${where}`, ...params);
    const hosts = rows.map((row) => JSON.parse(String(row.record)) as HostRecord);
    for (const host of hosts) known.set(host.hostId, host);
    return hosts;
  }

  return {
    host: (hostId) => known.get(hostId) ?? (isComplete ? undefined : read("WHERE host_id = ?", hostId)[0]),
    hosts() {
      if (!isComplete) read("");
      isComplete = true;
      return [...known.values()];
    },
    hostOfLabel: (label) => read("WHERE host_label = ?", label)[0],
    putHost(host) {
      const { hostId, hostLabel } = host;
      // Not OR REPLACE: that would drop another host's row if two labels ever met, instead of failing.
      const upsert =
        "ON CONFLICT (host_id) DO UPDATE SET host_label = excluded.host_label, record = excluded.record";
      sql.run(`INSERT INTO hosts VALUES (?, ?, ?) ${upsert}`, hostId, hostLabel, JSON.stringify(host));
      known.set(hostId, host);
    },
    deleteHost(hostId) {
      sql.run("DELETE FROM hosts WHERE host_id = ?", hostId);
      known.delete(hostId);
    },
    /** For a rollback: the file may hold others now. */
    forget() {
      known.clear();
      isComplete = false;
    },
  };
}
