import type { AuditLog } from "../audit.ts";
import { auditStatements, createSqlAudit } from "./sql-audit.ts";
import { openDatabase } from "./sqlite-database.ts";
import { unusable } from "./sqlite-problems.ts";

/** The audit record in a file of its own, for a resolver whose registry is elsewhere. Throws a BerthError `bad-database` or `disk-full`. */
export function openAuditFile(file: string): { audit: AuditLog; close(): void } {
  try {
    const { sql, handle } = openDatabase(file);
    if (sql.all("SELECT 1 FROM sqlite_master WHERE name = 'audit'").length === 0) {
      sql.transaction(() => {
        for (const statement of auditStatements) sql.run(statement);
      });
    }
    return { audit: createSqlAudit(sql), close: () => handle.close() };
  } catch (cause) {
    throw unusable("audit record", file, cause);
  }
}
