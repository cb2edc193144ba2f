import type { Binding } from "../../shared/binding.ts";
import type { Name } from "../../shared/name.ts";
import { bootstrapAccess } from "../access.ts";
import type { HostRecord } from "../records.ts";
import { addressParts } from "../zone/compile.ts";
import { packBindings } from "./binding-text.ts";
import type { Sql, SqlRow } from "./sql.ts";
import { pathOf } from "./sql-claims.ts";

/*
 * Schema 1 to 2: claims by path with packed bindings; hosts that say whose they are; a hold for every name that was granted. Part of a
 * released step once it is: what it writes down is schema 2, whatever later ones look like.
 */

/** Moves `claims_1` into `claims`, host by host, because all claims at once may be more than a Durable Object's memory. */
export function repackClaims(sql: Sql, now: number): void {
  for (const row of sql.all("SELECT record FROM hosts")) {
    const host = JSON.parse(String(row.record)) as HostRecord;
    const claims = sql.all("SELECT * FROM claims_1 WHERE host_id = ?", host.hostId).map(claimFrom);
    for (const { name, bindings, row } of claims) {
      const packed = [host.hostId, pathOf(name), Number(row.since), packBindings(bindings)];
      sql.run("INSERT INTO claims VALUES (?, ?, ?, ?, ?)", ...packed, refusalOf(row));
      if (row.refusal === null) hold(sql, host, name, bindings, now);
    }
    const { tokenId, owner, scope } = bootstrapAccess("agent");
    const bindings = claims.flatMap((claim) => claim.bindings);
    const parts = addressParts(host.addresses, bindings);
    const record = JSON.stringify({ ...host, parts, tokenId, owner, scope });
    sql.run("UPDATE hosts SET record = ? WHERE host_id = ?", record, host.hostId);
  }
}

/** Who was granted a name holds it now. Of several that share one, which stands for them does not matter: they had one owner. */
function hold(sql: Sql, host: HostRecord, name: Name, bindings: Binding[], now: number): void {
  const rules = new Set(bindings.map((binding) => binding.rule));
  if (rules.size === 1 && rules.has("host")) return;
  const merges = !rules.has("container") && !rules.has("host");
  const { tokenId, owner } = bootstrapAccess("agent");
  const held = [name, owner, merges ? null : host.hostId, host.hostLabel, tokenId, now, null];
  sql.run("INSERT OR IGNORE INTO holds VALUES (?, ?, ?, ?, ?, ?, ?)", ...held);
}

function claimFrom(row: SqlRow) {
  return { name: String(row.name) as Name, bindings: JSON.parse(String(row.bindings)) as Binding[], row };
}

function refusalOf(row: SqlRow): string | null {
  return row.refusal === null ? null : String(row.refusal);
}
