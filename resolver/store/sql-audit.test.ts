import { describe, expect, test } from "vitest";

import { auditEntrySchema } from "../../shared/audit.ts";
import type { NewAuditEntry } from "../audit.ts";
import { createMemorySql } from "../testing/memory-sql.ts";
import { auditEntry, refusedEntry } from "../testing/tokens.ts";
import { auditStatements, createSqlAudit } from "./sql-audit.ts";

const bounds = { done: 20, operator: 5, refused: 10 };

const pushEntry = (changed: Partial<NewAuditEntry> = {}) => auditEntry({ action: "push", ...changed });

function makeAudit() {
  const sql = createMemorySql(auditStatements);
  return { sql, audit: createSqlAudit(sql, bounds) };
}

describe("the audit log in SQLite", () => {
  test("gives back what was recorded, in order, as the API shows it", async () => {
    const { audit } = makeAudit();
    const entries = [auditEntry({ target: "a" }), refusedEntry({ count: 7 })];
    await audit.record(entries);
    const [first, second] = await audit.list(10);
    expect([first, second]).toEqual([
      { id: 1, ...entries[0] },
      { id: 2, ...entries[1] },
    ]);
    expect(auditEntrySchema.parse(second)).toEqual(second);
  });

  test("lists the newest, and from an id backwards the page before it", async () => {
    const { audit } = makeAudit();
    for (let at = 1; at <= 6; at++) await audit.record([auditEntry({ at })]);
    expect((await audit.list(2)).map(({ at }) => at)).toEqual([5, 6]);
    expect((await audit.list(2, 5)).map(({ at }) => at)).toEqual([3, 4]);
    expect((await audit.list(10, 1)).map(({ at }) => at)).toEqual([]);
  });

  test("has a change's entry exactly when the transaction that made the change was kept", async () => {
    const { sql, audit } = makeAudit();
    const broken = () => {
      audit.recordChange(auditEntry({ target: "undone" }));
      throw new Error("disk is full");
    };
    expect(() => sql.transaction(broken)).toThrow("disk is full");
    sql.transaction(() => audit.recordChange(auditEntry({ target: "kept" })));
    expect((await audit.list(10)).map(({ target }) => target)).toEqual(["kept"]);
  });

  test("records all of a batch or none of it", async () => {
    const { audit } = makeAudit();
    const circular = auditEntry();
    Object.assign(circular, { self: circular });
    await expect(audit.record([auditEntry(), circular])).rejects.toThrow();
    expect(await audit.list(10)).toEqual([]);
  });

  test("keeps each outcome within its own bound and 255 more, and ids that only grow", async () => {
    const { audit } = makeAudit();
    const many = Array.from({ length: 2_000 }, (_, at) =>
      at % 2 ? refusedEntry({ at }) : pushEntry({ at }),
    );
    await audit.record(many);
    const kept = await audit.list(5_000);
    const of = (outcome: string) => kept.filter((entry) => entry.outcome === outcome).length;
    expect(of("done")).toBeLessThanOrEqual(bounds.done + 255);
    expect(of("refused")).toBeLessThanOrEqual(bounds.refused + 255);
    expect(kept.at(-1)).toMatchObject({ id: 2_000, at: 1_999 });
    expect(kept.every((entry, index) => entry.id > (kept[index - 1]?.id ?? 0))).toBe(true);
  });

  test("keeps no more and no fewer than its bounds whenever it has just trimmed", async () => {
    const { audit } = makeAudit();
    await audit.record(Array.from({ length: 512 }, (_, at) => (at % 2 ? refusedEntry() : pushEntry())));
    const kept = (await audit.list(5_000)).map(({ outcome }) => outcome);
    expect(kept.filter((outcome) => outcome === "done")).toHaveLength(bounds.done);
    expect(kept.filter((outcome) => outcome === "refused")).toHaveLength(bounds.refused);
  });

  test("lets no flood of refusals push out a change", async () => {
    const { audit } = makeAudit();
    await audit.record([auditEntry({ target: "precious" })]);
    await audit.record(Array.from({ length: 1_000 }, () => refusedEntry()));
    expect((await audit.list(5_000))[0]).toMatchObject({ id: 1, target: "precious" });
  });

  test.each(["token-create", "token-revoke", "release", "withdraw", "backup", "restore"] as const)(
    "lets no fleet that comes and goes push out an operator's %s, which is done as any other",
    async (action) => {
      const { audit } = makeAudit();
      await audit.record([auditEntry({ action, target: "precious" })]);
      const actor = { tokenId: "abc", kind: "agent", owner: "team-a" } as const;
      for (const restless of ["push", "lapse", "withdraw"] as const) {
        await audit.record(Array.from({ length: 400 }, () => pushEntry({ action: restless, actor })));
      }
      expect((await audit.list(5_000))[0]).toMatchObject({
        id: 1,
        action,
        outcome: "done",
        target: "precious",
      });
    },
  );

  test("keeps what operators did within a bound of its own", async () => {
    const { audit } = makeAudit();
    await audit.record(Array.from({ length: 512 }, () => auditEntry()));
    expect(await audit.list(5_000)).toHaveLength(bounds.operator);
  });

  test("trims by the id, so that a log opened anew for every entry stays bounded", async () => {
    const { sql } = makeAudit();
    for (let at = 0; at < 600; at++) await createSqlAudit(sql, bounds).record([refusedEntry({ at })]);
    expect(await createSqlAudit(sql, bounds).list(5_000)).toHaveLength(bounds.refused + (600 - 512));
  });

  test("trims along its index, without sorting or reading entries", () => {
    const { sql } = makeAudit();
    const query = "SELECT id FROM audit WHERE outcome = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
    const plan = sql.all(`EXPLAIN QUERY PLAN ${query}`, "done", 5).map(({ detail }) => String(detail));
    expect(plan).toEqual([expect.stringContaining("COVERING INDEX audit_by_outcome")]);
  });
});
