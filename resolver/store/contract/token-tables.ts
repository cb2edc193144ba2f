import { describe, expect, test } from "vitest";

import { auditEntry, makeToken } from "../../testing/tokens.ts";
import type { TokenTable } from "../../token-table.ts";

export interface TokenTableUnderTest {
  table: TokenTable;
  /** Ids of the tokens whose revocation was announced, in order. */
  announced: string[];
  /** What of the entries was written, the oldest first. */
  actions(): Promise<string[]>;
}

/** What every TokenTable promises. `make` gives an empty one. */
export function describeTokenTable(name: string, make: () => Promise<TokenTableUnderTest>): void {
  const created = auditEntry({ action: "token-create" });
  const revoked = auditEntry({ action: "token-revoke" });
  const day = 24 * 60 * 60 * 1000;

  describe(`a token table in ${name}`, () => {
    test("finds what was put, and nothing else", async () => {
      const { table, actions } = await make();
      const { record } = await makeToken(1);
      expect(await table.find(record.id)).toBeUndefined();
      await table.put(record, created);
      expect(await table.find(record.id)).toEqual(record);
      expect(await table.find("zzzzzzzzzz")).toBeUndefined();
      expect(await actions()).toEqual(["token-create"]);
    });

    test("lists the oldest first", async () => {
      const { table } = await make();
      const ages = [30, 10, 20];
      for (const createdAt of ages)
        await table.put((await makeToken(createdAt, { createdAt })).record, created);
      expect((await table.list()).map(({ createdAt }) => createdAt)).toEqual([10, 20, 30]);
    });

    test("shows a token revoked once the promise is kept, and tells who watches", async () => {
      const { table, announced, actions } = await make();
      const { record } = await makeToken(1);
      await table.put(record, created);
      expect(await table.revoke(record.id, 5_000, revoked)).toBe(true);
      expect(await table.find(record.id)).toEqual({ ...record, revokedAt: 5_000 });
      expect(await table.list()).toEqual([{ ...record, revokedAt: 5_000 }]);
      expect(announced).toEqual([record.id]);
      expect(await actions()).toEqual(["token-create", "token-revoke"]);
    });

    test("keeps the moment of the first of two revocations, and writes one entry", async () => {
      const { table, actions } = await make();
      const { record } = await makeToken(1);
      await table.put(record, created);
      await table.revoke(record.id, 5_000, revoked);
      expect(await table.revoke(record.id, 6_000, revoked)).toBe(true);
      expect((await table.find(record.id))?.revokedAt).toBe(5_000);
      expect(await actions()).toEqual(["token-create", "token-revoke"]);
    });

    test("has nothing to revoke under an id it does not know", async () => {
      const { table, announced, actions } = await make();
      expect(await table.revoke("zzzzzzzzzz", 5_000, revoked)).toBe(false);
      expect(announced).toEqual([]);
      expect(await actions()).toEqual([]);
    });

    test("forgets what expired over 30 days before the next token is made", async () => {
      const { table } = await make();
      const first = await makeToken(1, { expiresAt: 2_000 });
      const second = await makeToken(2, { expiresAt: 3_000 });
      for (const { record } of [first, second]) await table.put(record, created);
      await table.put((await makeToken(3, { createdAt: 2_500 + 30 * day })).record, created);
      expect(await table.find(first.id)).toBeUndefined();
      expect(await table.find(second.id), "half a second short of it").toBeDefined();
      expect(await table.list()).toHaveLength(2);
    });

    test("remembers what was revoked as long as it would have lived: a backup may have it as good", async () => {
      const { table } = await make();
      const { record } = await makeToken(1);
      await table.put(record, created);
      await table.revoke(record.id, 5_000, revoked);
      await table.put((await makeToken(2, { createdAt: 10_000 * day })).record, created);
      expect((await table.find(record.id))?.revokedAt).toBe(5_000);
    });
  });
}
