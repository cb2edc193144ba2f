import { Hono } from "hono";
import { describe, expect, test, vi } from "vitest";

import { auditListSchema } from "../../shared/audit.ts";
import type { TokenKind } from "../../shared/tokens.ts";
import { auditStatements, createSqlAudit } from "../store/sql-audit.ts";
import { createMemorySql } from "../testing/memory-sql.ts";
import { accessOf, auditEntry } from "../testing/tokens.ts";
import type { AccessEnv } from "./admin-only.ts";
import { auditRoutes } from "./audit.ts";

/** The routes as app.ts mounts them, over a log of `length` entries. */
async function makeApp(length: number, kind: TokenKind = "admin") {
  const audit = createSqlAudit(createMemorySql(auditStatements));
  await audit.record(Array.from({ length }, () => auditEntry()));
  const list = vi.spyOn(audit, "list");
  const faults: unknown[] = [];
  const app = new Hono<AccessEnv>()
    .use("/v1/*", async (context, next) => {
      context.set("access", accessOf(kind));
      await next();
    })
    .route("/v1/audit", auditRoutes({ audit }));
  app.onError((fault, context) => {
    faults.push(fault);
    return context.json({}, 400);
  });
  const get = async (query = "") => app.request(`/v1/audit${query}`);
  const ids = async (query?: string) => {
    return auditListSchema.parse(await (await get(query)).json()).entries.map(({ id }) => id);
  };
  return { get, ids, list, faults };
}

describe("GET /v1/audit", () => {
  test("gives the newest 100, the newest last", async () => {
    const { ids } = await makeApp(120);
    expect(await ids()).toEqual(Array.from({ length: 100 }, (_, index) => index + 21));
  });

  test("gives as many as asked for, page by page backwards", async () => {
    const { ids } = await makeApp(5);
    expect(await ids("?limit=2")).toEqual([4, 5]);
    expect(await ids("?limit=2&before=4")).toEqual([2, 3]);
    expect(await ids("?limit=1000&before=2")).toEqual([1]);
    expect(await ids("?before=1")).toEqual([]);
  });

  test.each([
    ["limit", "?limit=0"],
    ["limit", "?limit=1001"],
    ["limit", "?limit=ten"],
    ["limit", "?limit="],
    ["before", "?before=-1"],
    ["before", "?before=1.5"],
  ])("refuses a wrong %s (%s)", async (path, query) => {
    const { get, list, faults } = await makeApp(1);
    await get(query);
    expect(faults).toMatchObject([{ code: "invalid-body", facts: { faults: [{ path }] } }]);
    expect(list).not.toHaveBeenCalled();
  });

  test.each(["agent", "reader"] as const)("is not for a token of kind %s", async (kind) => {
    const { get, list, faults } = await makeApp(1, kind);
    await get();
    expect(faults).toMatchObject([{ code: "token-not-allowed" }]);
    expect(list).not.toHaveBeenCalled();
  });
});
