import { Hono } from "hono";

import { replyToFault } from "../../resolver/faults.ts";
import type { AccessEnv } from "../../resolver/routes/admin-only.ts";
import { auditRoutes } from "../../resolver/routes/audit.ts";
import { backupRoutes } from "../../resolver/routes/backup.ts";
import { namesRoutes } from "../../resolver/routes/names.ts";
import { tokensRoutes } from "../../resolver/routes/tokens.ts";
import { listenHttp } from "../../resolver/serve/listen.ts";
import { auditStatements, createSqlAudit } from "../../resolver/store/sql-audit.ts";
import { createSqlTokenTable, tokenTableStatements } from "../../resolver/store/sql-token-table.ts";
import { createMemorySql } from "../../resolver/testing/memory-sql.ts";
import { accessOf } from "../../resolver/testing/tokens.ts";
import { createLog } from "../../shared/log.ts";
import { parseName } from "../../shared/name.ts";

export type FakeResolver = Awaited<ReturnType<typeof startFakeResolver>>;

const hostId = "a".repeat(52);
const host = {
  hostId,
  declaredLabel: "nas",
  hostLabel: "nas",
  addresses: [],
  local: false,
  epoch: 1,
  digest: "",
  owner: "team-a",
  tokenId: "abcdefgh23",
  lease: 15,
  leaseRemaining: 10,
  bindings: 1,
  problems: [],
  refused: [],
};
const held = { owner: "team-a", hostLabel: "nas", exclusive: false, since: 0, until: null, waiting: [] };

/** The routes operators ask, over a registry of one host that holds one name and left another; it takes two tokens. */
export async function startFakeResolver() {
  const sql = createMemorySql([...tokenTableStatements, ...auditStatements]);
  const audit = createSqlAudit(sql);
  const tokenTable = createSqlTokenTable(sql, audit);
  const state = {
    breakOff: false,
    isSlow: false,
    registry: "SQLite format 3\0 and more",
    restored: [] as string[],
  };
  const withdrawn: string[] = [];
  const names = [
    { ...held, name: parseName("old.berth.internal"), until: 60_000 },
    { ...held, name: parseName("web.shop.berth.internal"), waiting: [{ hostLabel: "pi", owner: "team-b" }] },
  ];
  const store = {
    names: async () => ({ revision: 1, names }),
    async releaseName(name: string) {
      if (name.startsWith("web")) return { kind: "live" as const, hostLabels: ["nas"] };
      return { kind: name.startsWith("old") ? ("released" as const) : ("not-held" as const) };
    },
  };
  const backup = {
    async backup() {
      // More than is sent, or the client would have all of it at once, and a whole copy.
      const length = state.breakOff || state.isSlow ? 8_000_000 : state.registry.length;
      return { octets: streamOf(state.registry, state), length };
    },
    async restore(octets: ReadableStream<Uint8Array>) {
      state.restored.push(await new Response(octets).text());
      return { hosts: 2, bindings: 30, names: 4, tokens: 1 };
    },
  };
  const app = new Hono<AccessEnv>()
    .get("/healthz", (context) => context.json({ status: "ok", zone: "berth.internal" }))
    .use("/v1/*", async (context, next) => {
      const kind = context.req.header("authorization") === "Bearer admin-token-1" ? "admin" : "reader";
      context.set("access", accessOf(kind));
      // Commands are processes of their own: in one process they would share a connection that another of them has broken.
      context.header("connection", "close");
      await next();
    })
    .get("/v1/hosts", (context) => context.json({ revision: 1, hosts: [host] }))
    .delete("/v1/hosts/:hostId", (context) => {
      const id = context.req.param("hostId");
      if (id !== hostId)
        return context.json({ error: { code: "unknown-host", message: "nothing is held" } }, 404);
      withdrawn.push(id);
      return context.body(null, 204);
    })
    .route("/v1/names", namesRoutes({ store }))
    .route("/v1/tokens", tokensRoutes({ tokenTable, now: Date.now }))
    .route("/v1/audit", auditRoutes({ audit }))
    .route("/v1/backup", backupRoutes({ backup, audit, now: Date.now }))
    .onError((fault) => replyToFault(fault, () => undefined));
  const log = createLog("resolver", "error", () => undefined);
  const transport = await listenHttp(app.fetch, { host: "127.0.0.1", port: 0 }, log);
  return Object.assign(state, {
    url: `http://127.0.0.1:${transport.address.port}`,
    withdrawn,
    tokens: () => tokenTable.list(),
    close: transport.close,
  });
}

function streamOf(text: string, { breakOff, isSlow }: { breakOff: boolean; isSlow: boolean }) {
  if (!breakOff && !isSlow) return new Blob([text]).stream();
  let chunks = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      controller.enqueue(new TextEncoder().encode(text.padEnd(1_000_000)));
      // What is slow ends with whoever reads it; what breaks off has begun to arrive by then.
      if (isSlow) await new Promise(() => undefined);
      if (++chunks === 8) controller.error(new Error("broken off"));
    },
  });
}
