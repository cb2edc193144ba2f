import { Hono } from "hono";
import { describe, expect, test, vi } from "vitest";

import { BerthError } from "../../shared/errors.ts";
import { createdTokenSchema, type TokenKind, tokenListSchema } from "../../shared/tokens.ts";
import { auditStatements, createSqlAudit } from "../store/sql-audit.ts";
import { createSqlTokenTable, tokenTableStatements } from "../store/sql-token-table.ts";
import { createMemorySql } from "../testing/memory-sql.ts";
import { accessOf } from "../testing/tokens.ts";
import { createTokenCheck } from "../tokens.ts";
import type { AccessEnv } from "./admin-only.ts";
import { tokensRoutes } from "./tokens.ts";

const agentToken = { kind: "agent", owner: "team-a" };

/** The routes as app.ts mounts them, for whoever holds a token of `kind`. */
function makeApp(kind: TokenKind = "admin") {
  const clock = { now: 1_800_000_000_000.25 };
  const sql = createMemorySql([...tokenTableStatements, ...auditStatements]);
  const audit = createSqlAudit(sql);
  const tokenTable = createSqlTokenTable(sql, audit);
  const now = () => clock.now;
  const tokens = createTokenCheck({ bootstrap: {}, table: tokenTable, now });
  const faults: unknown[] = [];
  const app = new Hono<AccessEnv>()
    .use("/v1/*", async (context, next) => {
      context.set("access", accessOf(kind));
      await next();
    })
    .route("/v1/tokens", tokensRoutes({ tokenTable, now }));
  app.onError((fault, context) => {
    faults.push(fault);
    return context.json({}, 400);
  });
  const send = async (method: string, path = "", body?: unknown) => {
    const headers = { "content-type": "application/json" };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    return app.request(`/v1/tokens${path}`, { method, headers, ...text });
  };
  const create = async (body: object = agentToken) => {
    return createdTokenSchema.parse(await (await send("POST", "", body)).json());
  };
  const list = async () => tokenListSchema.parse(await (await send("GET")).json()).tokens;
  const actions = async () => (await audit.list(100)).map(({ action, target }) => [action, target]);
  return { send, create, list, actions, tokens, clock, sql, faults };
}

describe("POST /v1/tokens", () => {
  test("gives out a token that works at once, and that no cache may keep", async () => {
    const { send, tokens } = makeApp();
    const response = await send("POST", "", agentToken);
    expect([response.status, response.headers.get("cache-control")]).toEqual([201, "no-store"]);
    const created = createdTokenSchema.parse(await response.json());
    expect(created).toMatchObject({
      ...agentToken,
      createdAt: 1_800_000_000_000,
      expiresAt: null,
      revokedAt: null,
    });
    expect(await tokens.check(created.token)).toMatchObject({ tokenId: created.id, owner: "team-a" });
  });

  test("gives out another one every time", async () => {
    const { create } = makeApp();
    const texts = new Set<string>();
    for (let turn = 0; turn < 50; turn++) texts.add((await create()).token);
    expect(texts.size).toBe(50);
  });

  test("keeps the scope, and the time it ends", async () => {
    const { create, tokens, clock } = makeApp();
    const scope = { names: ["*.shop"], hosts: ["nas"], maxBindings: 5, maxLease: 60 };
    const created = await create({ ...agentToken, scope, expiresIn: 60 });
    expect(created).toMatchObject({ scope, expiresAt: 1_800_000_060_000 });
    expect(await tokens.check(created.token)).toMatchObject({ scope, expiresAt: 1_800_000_060_000 });
    clock.now += 60_000;
    await expect(tokens.check(created.token)).rejects.toMatchObject({ code: "token-expired" });
  });

  test.each([
    ["owner", { kind: "agent", owner: "Team A" }],
    ["kind", { kind: "root", owner: "team-a" }],
    ["expiresIn", { ...agentToken, expiresIn: 0 }],
    ["scope.names.0", { ...agentToken, scope: { names: ["**"] } }],
    ["scope", { kind: "reader", owner: "team-a", scope: { maxBindings: 5 } }],
    ["scope", { kind: "admin", owner: "team-a", scope: { names: ["*.shop"] } }],
  ])("refuses a wrong %s, and makes nothing", async (path, body) => {
    const { send, list, faults } = makeApp();
    await send("POST", "", body);
    expect(faults).toMatchObject([{ code: "invalid-body", facts: { faults: [{ path }] } }]);
    expect(await list()).toEqual([]);
  });

  test.each(["reader", "admin"])("takes a scope that bounds nothing for a %s", async (kind) => {
    expect((await makeApp().create({ kind, owner: "team-a", scope: {} })).kind).toBe(kind);
  });

  test("takes a scope as large as the schema allows", async () => {
    const hosts = Array.from({ length: 1000 }, () => "a".repeat(52));
    const names = Array.from({ length: 100 }, () => `*.${"a".repeat(198)}`);
    expect((await makeApp().create({ ...agentToken, scope: { hosts, names } })).scope.hosts).toHaveLength(
      1000,
    );
  });
});

test("GET /v1/tokens lists tokens without anything one could use in their place", async () => {
  const { create, send } = makeApp();
  const { token, ...view } = await create();
  const text = await (await send("GET")).text();
  expect(JSON.parse(text)).toEqual({ tokens: [view] });
  expect(text).not.toContain("hash");
  expect(text).not.toContain(token.slice(-43));
});

describe("DELETE /v1/tokens/{id}", () => {
  test("ends a token at once; a second time changes nothing", async () => {
    const { create, send, list, tokens, clock } = makeApp();
    const { id, token } = await create();
    expect((await send("DELETE", `/${id}`)).status).toBe(204);
    await expect(tokens.check(token)).rejects.toMatchObject({ code: "token-revoked" });
    clock.now += 5000;
    expect((await send("DELETE", `/${id}`)).status).toBe(204);
    expect((await list())[0]?.revokedAt).toBe(1_800_000_000_000);
  });

  test("knows no such id, and does not say it back: it may be a token", async () => {
    const { send, faults } = makeApp();
    const text = `berth_abcdefghij_${"A".repeat(43)}`;
    await send("DELETE", `/${text}`);
    expect(faults).toMatchObject([
      { code: "unknown-token-id", message: expect.not.stringContaining("AAAA") },
    ]);
  });

  test.each(["agent", "reader", "admin"])(
    "says how the bootstrap token for %s is taken back",
    async (kind) => {
      const { send, faults } = makeApp();
      await send("DELETE", `/bootstrap-${kind}`);
      expect(faults).toMatchObject([
        { code: "unknown-token-id", message: expect.stringContaining("restart") },
      ]);
    },
  );
});

test("every change is in the record, by whom; no token is", async () => {
  const { create, send, actions, sql } = makeApp();
  const { id, token } = await create();
  await send("DELETE", `/${id}`);
  await send("DELETE", `/${id}`);
  expect(await actions()).toEqual([
    ["token-create", id],
    ["token-revoke", id],
  ]);
  const rows = JSON.stringify([sql.all("SELECT * FROM audit"), sql.all("SELECT * FROM tokens")]);
  expect(rows).toContain("bootstrap-admin");
  expect(rows).not.toContain(token.slice(-43));
});

test("a token that cannot be written down is not given out", async () => {
  const { send, sql, faults } = makeApp();
  sql.run.mockImplementation(() => {
    throw new BerthError("disk-full", "the disk is full");
  });
  expect(await (await send("POST", "", agentToken)).json()).toEqual({});
  expect(faults).toMatchObject([{ code: "disk-full" }]);
});

describe.each(["agent", "reader"] as const)("with a token of kind %s", (kind) => {
  test.each([
    ["GET", ""],
    ["POST", ""],
    ["DELETE", "/abcdefghij"],
  ])("%s /v1/tokens%s is refused before anything is read or written", async (method, path) => {
    const { send, faults, sql } = makeApp(kind);
    vi.clearAllMocks();
    await send(method, path, method === "POST" ? { wrong: true } : undefined);
    expect(faults).toMatchObject([{ code: "token-not-allowed", message: expect.stringContaining(kind) }]);
    expect([sql.run.mock.calls, sql.all.mock.calls]).toEqual([[], []]);
  });
});
