import type { Sql, SqlValue } from "../store/sql.ts";

/** The object's SQLite as the stores use it. Counts in `rows` what the platform bills. */
export function sqlOver(storage: DurableObjectStorage, rows: { read: number; written: number }): Sql {
  const exec = (query: string, params: SqlValue[]) => {
    const cursor = storage.sql.exec(query, ...params);
    const result = cursor.toArray();
    rows.read += cursor.rowsRead;
    rows.written += cursor.rowsWritten;
    return result;
  };
  return {
    run: (query, ...params) => void exec(query, params),
    all: (query, ...params) => exec(query, params),
    transaction: (change) => storage.transactionSync(change),
  };
}
