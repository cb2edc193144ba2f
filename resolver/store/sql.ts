/** What SQLite offers in both runtimes: node:sqlite and a Durable Object's ctx.storage.sql. Synchronous. */
export interface Sql {
  run(query: string, ...params: SqlValue[]): void;
  all(query: string, ...params: SqlValue[]): SqlRow[];
  /** Rolls back and rethrows when `change` throws. */
  transaction<T>(change: () => T): T;
}

export type SqlValue = string | number | null;
export type SqlRow = Record<string, unknown>;
