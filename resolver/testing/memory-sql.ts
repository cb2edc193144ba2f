import { DatabaseSync } from "node:sqlite";
import { vi } from "vitest";

import type { Sql } from "../store/sql.ts";

/** Real SQLite that lasts as long as the test; `run` and `all` are spies, so that statements can be counted or made to fail. */
export function createMemorySql(statements: readonly string[]) {
  const database = new DatabaseSync(":memory:");
  for (const statement of statements) database.exec(statement);
  return {
    run: vi.fn<Sql["run"]>((query, ...params) => void database.prepare(query).run(...params)),
    all: vi.fn<Sql["all"]>((query, ...params) => database.prepare(query).all(...params)),
    transaction<T>(change: () => T): T {
      database.exec("BEGIN");
      try {
        const result = change();
        database.exec("COMMIT");
        return result;
      } catch (fault) {
        database.exec("ROLLBACK");
        throw fault;
      }
    },
  } satisfies Sql;
}
