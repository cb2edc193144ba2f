import type { Registry } from "../registry.ts";
import type { RegistrySettings } from "../settings.ts";
import type { Sql } from "./sql.ts";

/** For a start: tables settled under another zone or other name servers are settled anew, which reads every claim; others cost one row. */
export function settleUnder(sql: Sql, registry: Registry, { zone, nameServers }: RegistrySettings): void {
  const settings = JSON.stringify({ zone, nameServers });
  if (sql.all("SELECT settled FROM registry")[0]?.settled === settings) return;
  registry.settleAnew();
  // Not before: a start that was broken off has to begin again.
  sql.run("UPDATE registry SET settled = ?", settings);
}
