import type { Name } from "../../shared/name.ts";
import type { Hold } from "../records.ts";
import type { Tables } from "../tables.ts";
import type { Sql, SqlRow } from "./sql.ts";

type HoldTables = Pick<
  Tables,
  "hold" | "holds" | "holdsEndingBy" | "nextHoldEnd" | "keptByToken" | "putHold" | "deleteHold"
>;

/** Holds in SQLite, one row per name. */
export function createSqlHolds(sql: Sql): HoldTables {
  const holds = (where: string, ...params: (string | number)[]) => {
    const query = `SELECT name, owner, host_id, host_label, token_id, since, until FROM holds ${where}`;
    return sql.all(query, ...params).map(holdFrom);
  };
  return {
    hold: (name) => holds("WHERE name = ?", name)[0],
    holds: () => holds(""),
    holdsEndingBy: (now) => holds("WHERE until <= ?", now),
    nextHoldEnd() {
      const end = sql.all("SELECT MIN(until) AS end FROM holds WHERE until IS NOT NULL")[0]?.end;
      return typeof end === "number" ? end : undefined;
    },
    keptByToken(tokenId) {
      const query = "SELECT COUNT(*) AS kept FROM holds WHERE token_id = ? AND until IS NOT NULL";
      return Number(sql.all(query, tokenId)[0]?.kept ?? 0);
    },
    putHold({ name, owner, hostId, hostLabel, tokenId, since, until }) {
      const row = [name, owner, hostId ?? null, hostLabel, tokenId, since, until ?? null];
      sql.run("INSERT OR REPLACE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?)", ...row);
    },
    deleteHold: (name) => sql.run("DELETE FROM holds WHERE name = ?", name),
  };
}

export function holdFrom(row: SqlRow): Hold {
  const hold: Hold = {
    name: String(row.name) as Name,
    owner: String(row.owner),
    hostLabel: String(row.host_label),
    tokenId: String(row.token_id),
    since: Number(row.since),
  };
  if (row.host_id !== null) hold.hostId = String(row.host_id);
  if (row.until !== null) hold.until = Number(row.until);
  return hold;
}
