import { describe, expect, test, vi } from "vitest";

import { auditEntrySchema } from "../shared/audit.ts";
import { BerthError } from "../shared/errors.ts";
import type { NewAuditEntry } from "./audit.ts";
import { entryOfRefusal, RefusalAudit, type RefusedRequest } from "./refusal-audit.ts";
import { auditStatements, createSqlAudit } from "./store/sql-audit.ts";
import { createMemorySql } from "./testing/memory-sql.ts";
import { accessOf, refusedEntry } from "./testing/tokens.ts";

const hostId = "a".repeat(52);

function entryFor(code: string, changed: Partial<RefusedRequest> = {}, who?: string) {
  const fault = new BerthError(code, "what was wrong", who === undefined ? {} : { who });
  const request = { method: "PUT", route: "/v1/hosts/:hostId/lease", params: { hostId }, access: undefined };
  return entryOfRefusal(fault, { ...request, ...changed }, 5);
}

describe("the entry of a refusal", () => {
  test("of somebody known says who tried what on which host", () => {
    expect(entryFor("host-not-allowed", { access: accessOf("agent", { tokenId: "abc" }) })).toEqual({
      at: 5,
      actor: { tokenId: "abc", kind: "agent", owner: "operator" },
      action: "request",
      target: `PUT /v1/hosts/${hostId}/lease`,
      outcome: "refused",
      code: "host-not-allowed",
      detail: "what was wrong",
      count: 1,
    });
  });

  test("of loopback addresses, which clients elsewhere would take for their own, is made", () => {
    const entry = entryFor("local-host-refused", { access: accessOf("agent") });
    expect(entry).toMatchObject({ action: "request", outcome: "refused", code: "local-host-refused" });
  });

  test("of somebody unknown is told by the route alone: they make up no targets", () => {
    expect(entryFor("unknown-token")).toMatchObject({
      actor: null,
      action: "sign-in",
      target: "PUT /v1/hosts/:hostId/lease",
    });
    expect(entryFor("unknown-token", { method: "BREW" })?.target).toBe("OTHER /v1/hosts/:hostId/lease");
  });

  test.each(["token-expired", "token-revoked"])("of a token that ended (%s) names that token", (code) => {
    expect(entryFor(code, {}, "token abcdefghij")).toMatchObject({
      action: "sign-in",
      target: "token abcdefghij",
    });
  });

  test.each([
    ["/v1/tokens/:id", { id: `berth_abcdefghij_${"A".repeat(43)}` }],
    ["/v1/hosts/:hostId", { hostId: "agent-bootstrap-token" }],
    ["/t/:token/dns-query", { token: "b".repeat(10) }],
  ])("writes nothing into %s that is not plainly an id: it could be a token", (route, params) => {
    const entry = entryFor("token-not-allowed", { route, params, access: accessOf("reader") });
    expect(entry?.target).toBe(`PUT ${route}`);
  });

  test.each(["invalid-body", "unknown-digest", "unknown-generation", "not-found", "internal"])(
    "is not made for %s, which says nothing about who may do what",
    (code) => {
      expect(entryFor(code)).toBeUndefined();
    },
  );

  test("is not made for a fault nobody foresaw", () => {
    const request = { method: "GET", route: "/v1/hosts", params: {}, access: undefined };
    expect(entryOfRefusal(new Error("boom"), request, 5)).toBeUndefined();
  });
});

function makeAudit(maxDistinct?: number) {
  const record = vi.fn(async (_entries: NewAuditEntry[]) => {});
  return { audit: new RefusalAudit({ record }, maxDistinct), record };
}

describe("adding refusals up", () => {
  test("makes one entry of those of one actor, code and target, with the time of the first", async () => {
    const { audit, record } = makeAudit();
    const noted = refusedEntry({ at: 1 });
    audit.note(noted);
    audit.note(refusedEntry({ at: 2, detail: "another wording" }));
    audit.note(refusedEntry({ at: 3, target: "PUT /v1/hosts/:hostId" }));
    audit.note(refusedEntry({ at: 4, code: "bad-signature" }));
    audit.note(refusedEntry({ at: 5, actor: { tokenId: "abc", kind: "agent", owner: "team-a" } }));
    await audit.flush();
    expect(record.mock.calls[0]?.[0].map(({ at, count }) => [at, count])).toEqual([
      [1, 2],
      [3, 1],
      [4, 1],
      [5, 1],
    ]);
    expect(noted.count, "the caller's entry stays as it was").toBe(1);
  });

  test("writes nothing when nothing was noted, and nothing twice", async () => {
    const { audit, record } = makeAudit();
    await audit.flush();
    audit.note(refusedEntry());
    await audit.flush();
    await audit.flush();
    expect(record).toHaveBeenCalledTimes(1);
  });

  test("makes of a flood of different ones so many entries and one for the others, none of them lost from the count", async () => {
    const { audit, record } = makeAudit(32);
    for (let index = 0; index < 100_000; index++)
      audit.note(refusedEntry({ target: `GET /${index % 5_000}` }));
    await audit.flush();
    const entries = record.mock.calls[0]?.[0] ?? [];
    expect(entries).toHaveLength(33);
    expect(entries.at(-1)).toMatchObject({
      actor: null,
      target: "others",
      code: null,
      count: 100_000 - 32 * 20,
    });
    expect(entries.reduce((sum, { count }) => sum + count, 0)).toBe(100_000);
    for (const entry of entries) auditEntrySchema.parse({ id: 1, ...entry });
  });

  test("keeps what could not be written for the next flush, still within its bound", async () => {
    const { audit, record } = makeAudit(2);
    for (const target of ["a", "b", "c"]) audit.note(refusedEntry({ target }));
    record.mockImplementationOnce(async () => {
      // Refusals go on while the write is under way.
      for (const target of ["a", "a", "d", "e"]) audit.note(refusedEntry({ target }));
      throw new Error("disk is full");
    });
    await expect(audit.flush()).rejects.toThrow("disk is full");
    await audit.flush();
    expect(record.mock.calls[1]?.[0].map(({ target, count }) => [target, count])).toEqual([
      ["a", 3],
      ["b", 1],
      ["others", 3],
    ]);
  });

  test("without a timer, flushes no oftener than once a second", async () => {
    const { audit, record } = makeAudit();
    const flushedAt: number[] = [];
    for (let now = 0; now <= 2_500; now += 100) {
      audit.note(refusedEntry());
      const before = record.mock.calls.length;
      await audit.flushDue(now);
      if (record.mock.calls.length > before) flushedAt.push(now);
    }
    expect(flushedAt).toEqual([0, 1_000, 2_000]);
  });

  test("leaves the record of changes alone through a minute of flood", async () => {
    const log = createSqlAudit(createMemorySql(auditStatements), { done: 50, operator: 50, refused: 20 });
    const audit = new RefusalAudit(log);
    await log.record([refusedEntry({ outcome: "done", action: "token-revoke", target: "precious" })]);
    for (let second = 0; second < 60; second++) {
      for (let index = 0; index < 200; index++) audit.note(refusedEntry({ target: `GET /${index}` }));
      await audit.flush();
    }
    const kept = await log.list(10_000);
    expect(kept[0]?.target).toBe("precious");
    expect(kept.length).toBeLessThanOrEqual(1 + 20 + 255);
  });
});
