import { expect, test } from "vitest";

import { createLog } from "../../shared/log.ts";
import { createMemorySql } from "../testing/memory-sql.ts";
import { auditEntry, makeToken } from "../testing/tokens.ts";
import { TokenWatch } from "../token-table.ts";
import { describeTokenTable } from "./contract/token-tables.ts";
import { auditStatements, createSqlAudit } from "./sql-audit.ts";
import { createSqlTokenTable, tokenTableStatements } from "./sql-token-table.ts";

const created = auditEntry({ action: "token-create" });
const revoked = auditEntry({ action: "token-revoke" });

function makeTable(sql = createMemorySql([...tokenTableStatements, ...auditStatements])) {
  const announced: string[] = [];
  const watch = new TokenWatch(createLog("resolver", "error", () => {}));
  watch.onRevoked((id) => announced.push(id));
  const audit = createSqlAudit(sql);
  const actions = async () => (await audit.list(100)).map(({ action }) => action);
  return { sql, table: createSqlTokenTable(sql, audit, watch), announced, actions };
}

/** From the next one on, statements that write the log fail, as on a full disk. */
function fillDisk(sql: ReturnType<typeof createMemorySql>) {
  const real = sql.all.getMockImplementation();
  sql.all.mockImplementation((query, ...params) => {
    if (query.startsWith("INSERT INTO audit")) throw new Error("disk is full");
    return real?.(query, ...params) ?? [];
  });
}

describeTokenTable("SQLite", async () => makeTable());

test("tokens and their revocation are there after a restart, hash and all", async () => {
  const { sql, table } = makeTable();
  const scope = { names: ["*.shop"], hosts: ["nas"], maxBindings: 5, maxLease: 60 };
  const scoped = await makeToken(1, { scope, expiresAt: 9_000 });
  const taken = await makeToken(2);
  for (const { record } of [scoped, taken]) await table.put(record, created);
  await table.revoke(taken.id, 5_000, revoked);
  const { table: again } = makeTable(sql);
  expect(await again.find(scoped.id)).toEqual(scoped.record);
  expect(await again.find(taken.id)).toEqual({ ...taken.record, revokedAt: 5_000 });
});

test("a look-up costs no statement once the table was read, for known and unknown ids alike", async () => {
  const { sql, table } = makeTable();
  const { record } = await makeToken(1);
  await table.put(record, created);
  sql.run.mockClear();
  sql.all.mockClear();
  for (const id of [record.id, "zzzzzzzzzz", record.id]) await table.find(id);
  expect([sql.run.mock.calls, sql.all.mock.calls]).toEqual([[], []]);
});

test("what something else wrote is there once the table was told to read anew", async () => {
  const { sql, table } = makeTable();
  const { record } = await makeToken(1);
  expect(await table.list()).toEqual([]);
  await makeTable(sql).table.put(record, created);
  expect(await table.find(record.id)).toBeUndefined();
  table.reread();
  expect(await table.find(record.id)).toEqual(record);
});

test("a token whose entry cannot be written does not exist, now or after a restart", async () => {
  const { sql, table } = makeTable();
  const { record } = await makeToken(1);
  fillDisk(sql);
  await expect(table.put(record, created)).rejects.toThrow("disk is full");
  expect(await table.find(record.id)).toBeUndefined();
  expect(await makeTable(sql).table.find(record.id)).toBeUndefined();
});

test("a revocation that cannot be written is not acknowledged, nor announced", async () => {
  const { sql, table, announced } = makeTable();
  const { record } = await makeToken(1);
  await table.put(record, created);
  fillDisk(sql);
  await expect(table.revoke(record.id, 5_000, revoked)).rejects.toThrow("disk is full");
  expect((await table.find(record.id))?.revokedAt).toBeNull();
  expect(announced).toEqual([]);
});

test("the database never holds a token's text", async () => {
  const { sql, table } = makeTable();
  const { text, record } = await makeToken(1);
  await table.put(record, created);
  await table.revoke(record.id, 5_000, revoked);
  expect(JSON.stringify([sql.run.mock.calls, sql.all.mock.calls])).not.toContain(text.slice(-43));
});
