import type { Refusal } from "../../shared/binding.ts";
import type { Name } from "../../shared/name.ts";
import type { Claim } from "../records.ts";
import type { Tables } from "../tables.ts";
import { packBindings, unpackBindings } from "./binding-text.ts";
import type { Sql, SqlRow, SqlValue } from "./sql.ts";

type ClaimTables = Pick<
  Tables,
  "claimsOfHost" | "claimsOfName" | "refusalsOf" | "claims" | "hasNameBelow" | "putClaim" | "deleteClaim"
>;

const pageSize = 1000;
const inOrder = "ORDER BY host_id, path";

/** Claims in SQLite, one row per host and name, so that a change of one name writes one row. Nothing of them stays in memory. */
export function createSqlClaims(sql: Sql): ClaimTables {
  const claims = (where: string, ...params: SqlValue[]) => {
    return sql.all(`SELECT host_id, path, since, bindings, refusal FROM claims ${where}`, ...params);
  };
  return {
    claimsOfHost: (hostId) => claims("WHERE host_id = ?", hostId).map(claimFrom),
    claimsOfName: (name) => claims("WHERE path = ?", pathOf(name)).map(claimFrom),
    refusalsOf(hostId) {
      const query =
        "SELECT refusal FROM claims INDEXED BY claims_refused WHERE host_id = ? AND refusal IS NOT NULL";
      const refusals = sql.all(query, hostId).map((row) => JSON.parse(String(row.refusal)) as Refusal);
      return refusals.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    *claims() {
      // In pages, because all at once can be more than there is memory, and because who reads them may change them.
      let page = claims(`${inOrder} LIMIT ?`, pageSize);
      while (page.length > 0) {
        yield* page.map(claimFrom);
        const last = page[page.length - 1];
        const after = [String(last?.host_id), String(last?.path)];
        page = claims(`WHERE (host_id, path) > (?, ?) ${inOrder} LIMIT ?`, ...after, pageSize);
      }
    },
    hasNameBelow(owner) {
      // "/" follows "." in ASCII and stands in no name: the range holds all paths that go on below this one.
      const query = "SELECT 1 FROM claims WHERE path > ? AND path < ? AND refusal IS NULL LIMIT 1";
      const path = pathOf(owner);
      return sql.all(query, `${path}.`, `${path}/`).length > 0;
    },
    putClaim({ hostId, name, since, bindings, refusal }) {
      const refused = refusal === undefined ? null : JSON.stringify(refusal);
      // Not OR REPLACE: that would write every index anew.
      const upsert =
        "ON CONFLICT DO UPDATE SET since = excluded.since, bindings = excluded.bindings, refusal = excluded.refusal";
      const row = [hostId, pathOf(name), since, packBindings(bindings), refused];
      sql.run(`INSERT INTO claims VALUES (?, ?, ?, ?, ?) ${upsert}`, ...row);
    },
    deleteClaim(hostId, name) {
      sql.run("DELETE FROM claims WHERE host_id = ? AND path = ?", hostId, pathOf(name));
    },
  };
}

/** The labels from the root down, so that a subtree is one range of an index. */
export function pathOf(owner: string): string {
  return owner.slice(0, -1).split(".").toReversed().join(".");
}

function nameAt(path: string): Name {
  return `${path.split(".").toReversed().join(".")}.` as Name;
}

function claimFrom(row: SqlRow): Claim {
  const name = nameAt(String(row.path));
  const bindings = unpackBindings(String(row.bindings), name);
  const claim = { hostId: String(row.host_id), name, since: Number(row.since), bindings };
  if (row.refusal === null) return claim;
  return { ...claim, refusal: JSON.parse(String(row.refusal)) as Refusal };
}
