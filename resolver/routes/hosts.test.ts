import { Hono } from "hono";
import { describe, expect, test } from "vitest";

import { contentDigestOf } from "../../shared/content-digest.ts";
import { type Access, bootstrapAccess } from "../access.ts";
import { replyToFault } from "../faults.ts";
import type { BindingStore, TurnOutcome, WithdrawOutcome } from "../store.ts";
import { faultOf, hostId, hostIdFor, pushBody, TestAgent } from "../testing/app.ts";
import type { AccessEnv } from "./admin-only.ts";
import { hostsRoutes } from "./hosts.ts";

const hostPath = `/v1/hosts/${hostId}`;
const reply = { lease: 15, revision: 1, grantsRevision: 0, hostLabel: "nas", refused: [] };

/** The routes over a store that says `outcome` to everything and remembers what it was asked. */
function routesOver(outcome: TurnOutcome | WithdrawOutcome = { kind: "accepted", reply }, publicPath = "") {
  const asked: unknown[][] = [];
  const answer = async (...call: unknown[]) => {
    asked.push(call);
    return outcome as TurnOutcome;
  };
  const store = {
    push: (...call: unknown[]) => answer("push", ...call),
    pushDelta: (...call: unknown[]) => answer("pushDelta", ...call),
    renew: (...call: unknown[]) => answer("renew", ...call),
    withdraw: async (...call: unknown[]) => {
      await answer("withdraw", ...call);
      return outcome.kind === "accepted" ? { kind: "withdrawn" } : (outcome as WithdrawOutcome);
    },
  } as Partial<BindingStore> as BindingStore;
  const access: Access = bootstrapAccess("agent");
  const api = new Hono<AccessEnv>()
    .use((context, next) => {
      context.set("access", access);
      return next();
    })
    .route("/hosts", hostsRoutes({ store, acceptsLocal: () => false, publicPath }));
  const app = new Hono().route("/v1", api);
  app.onError((fault) => replyToFault(fault, () => undefined));
  return { app, asked, access, agent: new TestAgent(app) };
}

async function deltaBody() {
  const { lease, digest, declared } = await pushBody();
  const { bindings, ...said } = declared;
  return {
    lease,
    digest,
    base: "1".repeat(64),
    declared: said,
    changed: bindings,
    gone: ["db.berth.internal"],
  };
}

describe("what a host signed reaches the store", () => {
  test("with its turn, and who the token stands for", async () => {
    const { agent, asked, access } = routesOver();
    agent.generation = "now";
    const push = await pushBody();
    const { lease, digest } = push;
    const delta = await deltaBody();
    await agent.send("PUT", hostPath, push);
    await agent.send("PATCH", hostPath, delta);
    await agent.send("PUT", `${hostPath}/lease`, { lease, digest }, { epoch: 2 });
    await agent.send("DELETE", hostPath);
    const turn = { generation: "now", epoch: 1 };
    expect(asked).toEqual([
      ["push", hostId, { ...push, ...turn, sequence: 1 }, access],
      ["pushDelta", hostId, { ...delta, gone: ["db.berth.internal."], ...turn, sequence: 2 }, access],
      ["renew", hostId, { lease, digest, ...turn, epoch: 2, sequence: 3 }, access],
      ["withdraw", hostId, { ...turn, sequence: 4 }, access],
    ]);
  });

  test("under the path it asked for, when a reverse proxy took a part of it off", async () => {
    const { app, agent, asked } = routesOver(undefined, "/berth");
    const signed = await agent.sign("PUT", `/berth${hostPath}`, await pushBody(), { sequence: 1 });
    const stripped = new Request(`http://localhost${hostPath}`, signed);
    expect((await app.request(stripped)).status).toBe(200);
    const unstripped = await agent.send("PUT", hostPath, await pushBody());
    expect(await faultOf(unstripped)).toMatchObject({ status: 401, code: "bad-signature" });
    expect(asked).toHaveLength(1);
  });
});

describe("never reaches the store, and is 401 bad-signature", () => {
  type Change = (request: Request) => Request | Promise<Request>;
  const without =
    (...fields: string[]): Change =>
    (request) => {
      const headers = new Headers(request.headers);
      for (const field of fields) headers.delete(field);
      return new Request(request, { headers });
    };
  const withField =
    (field: string, value: string): Change =>
    (request) => {
      const headers = new Headers(request.headers);
      headers.set(field, value);
      return new Request(request, { headers });
    };
  const changes: [string, Change, string][] = [
    ["a request without a signature", without("signature"), "field signature is missing"],
    ["a request without its input", without("signature-input"), "signature-input is missing"],
    ["a request without an epoch", without("berth-epoch"), "berth-epoch"],
    ["another epoch", withField("berth-epoch", "9"), "not that key's"],
    ["another sequence", withField("berth-sequence", "9"), "not that key's"],
    ["another token", withField("authorization", "Bearer other"), "not that key's"],
    ["another method", (request) => new Request(request, { method: "PATCH" }), "not that key's"],
    ["another path", (request) => new Request(`${request.url}/lease`, request), "not that key's"],
  ];
  test.each(changes)("%s", async (_, change, message) => {
    const { app, agent, asked } = routesOver();
    const signed = await agent.sign("PUT", hostPath, await pushBody(), { sequence: 1 });
    const fault = await faultOf(await app.request(await change(signed)));
    expect(fault).toMatchObject({
      status: 401,
      code: "bad-signature",
      message: expect.stringContaining(message),
    });
    expect(asked).toEqual([]);
  });

  test("another body, though it is as right as the signed one", async () => {
    const { app, agent, asked } = routesOver();
    const { url, headers } = await agent.sign("PUT", hostPath, await pushBody(), { sequence: 1 });
    const body = JSON.stringify(await pushBody({ hostLabel: "other" }));
    const fault = await faultOf(await app.request(url, { method: "PUT", headers, body }));
    expect(fault).toMatchObject({ status: 401, message: expect.stringContaining("sha-256 of the body") });
    expect(asked).toEqual([]);
  });

  test.each([
    ["that is malformed", "sha-256=Zg=="],
    ["by another algorithm alone", "sha-512=:Zg==:"],
  ])("a content-digest %s, well signed", async (_, digest) => {
    const { app, agent, asked } = routesOver();
    // Signed as a field of its own, in the place of the one the client would have made.
    const signed = await agent.sign("PUT", hostPath, undefined, {
      sequence: 1,
      headers: { "content-digest": digest },
    });
    const body = JSON.stringify(await pushBody());
    const fault = await faultOf(
      await app.request(signed.url, { method: "PUT", headers: signed.headers, body }),
    );
    expect(fault).toMatchObject({ status: 401, message: expect.stringContaining("content-digest") });
    expect(asked).toEqual([]);
  });

  test("a content-digest that is right and not signed", async () => {
    const { app, agent, asked } = routesOver();
    const { url, headers } = await agent.sign("PUT", hostPath, undefined, { sequence: 1 });
    const body = JSON.stringify(await pushBody());
    headers.set("content-digest", await contentDigestOf(new TextEncoder().encode(body)));
    const fault = await faultOf(await app.request(url, { method: "PUT", headers, body }));
    expect(fault).toMatchObject({
      status: 401,
      message: expect.stringContaining("does not cover content-digest"),
    });
    expect(asked).toEqual([]);
  });

  test("a good token with another host's key", async () => {
    const { app, asked } = routesOver();
    const other = new TestAgent(app, "b");
    for (const method of ["PUT", "PATCH", "DELETE"]) {
      const fault = await faultOf(
        await other.send(method, hostPath, method === "DELETE" ? undefined : await pushBody()),
      );
      expect(fault).toMatchObject({
        status: 401,
        code: "bad-signature",
        message: expect.stringContaining("keyid"),
      });
    }
    expect(asked).toEqual([]);
  });

  test("a signature of another host's own request, under this host's path", async () => {
    const { app, agent, asked } = routesOver();
    const signed = await agent.sign("DELETE", `/v1/hosts/${await hostIdFor("b")}`, undefined, {
      sequence: 1,
    });
    const moved = new Request(`http://localhost${hostPath}`, signed);
    expect(await faultOf(await app.request(moved))).toMatchObject({ status: 401, code: "bad-signature" });
    expect(asked).toEqual([]);
  });

  test.each(["0", "-1", "1.5", "01", "+1", "1e3", "", "9007199254740992", "1, 2"])(
    "an epoch or sequence of %j, well signed",
    async (text) => {
      const { agent, asked } = routesOver();
      for (const [field, number] of [
        ["berth-epoch", { epoch: text }],
        ["berth-sequence", { sequence: text }],
      ] as const) {
        const fault = await faultOf(await agent.send("DELETE", hostPath, undefined, number as object));
        expect(fault).toMatchObject({
          status: 401,
          code: "bad-signature",
          message: expect.stringContaining(field),
        });
      }
      expect(asked).toEqual([]);
    },
  );

  test("an unsigned body is not even read", async () => {
    const { app } = routesOver();
    let pulled = 0;
    const body = new ReadableStream({ pull: () => void pulled++ }, { highWaterMark: 0 });
    const init = { method: "PUT", headers: { "content-type": "application/json" }, body, duplex: "half" };
    const response = await app.request(hostPath, init as RequestInit);
    expect(await faultOf(response)).toMatchObject({ status: 401, code: "bad-signature" });
    expect(pulled).toBe(0);
  });
});

describe("what became of a turn is told", () => {
  test.each<[TurnOutcome, object]>([
    [{ kind: "unknown-digest" }, { status: 409, code: "unknown-digest" }],
    [
      { kind: "superseded", heldEpoch: 4, leaseRemaining: 9 },
      { status: 409, code: "superseded", heldEpoch: 4, leaseRemaining: 9 },
    ],
    [
      { kind: "unknown-generation", generation: "now" },
      { status: 401, code: "unknown-generation", generation: "now" },
    ],
    [{ kind: "host-not-allowed" }, { status: 403, code: "host-not-allowed" }],
    [{ kind: "wrong-digest" }, { status: 422, code: "invalid-body", faults: [{ path: "digest" }] }],
  ])("%j", async (outcome, expected) => {
    const { agent } = routesOver(outcome);
    const { lease, digest, declared } = await pushBody();
    for (const [method, path, body] of [
      ["PUT", hostPath, { lease, digest, declared }],
      ["PATCH", hostPath, await deltaBody()],
      ["PUT", `${hostPath}/lease`, { lease, digest }],
    ] as const) {
      expect(await faultOf(await agent.send(method, path, body))).toMatchObject(expected);
    }
  });

  test.each<[WithdrawOutcome, object]>([
    [{ kind: "not-held" }, { status: 404, code: "unknown-host" }],
    [
      { kind: "superseded", heldEpoch: 4, leaseRemaining: 9 },
      { status: 409, code: "superseded" },
    ],
    [
      { kind: "unknown-generation", generation: "x" },
      { status: 401, generation: "x" },
    ],
  ])("%j, of a withdrawal", async (outcome, expected) => {
    const { agent } = routesOver(outcome);
    expect(await faultOf(await agent.send("DELETE", hostPath))).toMatchObject(expected);
  });
});

test.each<[string, { changed?: []; addresses?: string[]; local?: boolean }, number, string | undefined]>([
  [
    "an address nobody could connect to",
    { addresses: ["0.0.0.0"], changed: [] },
    422,
    "declared.addresses.0",
  ],
  ["an address of another host", { addresses: ["10.0.0.6"] }, 422, "changed.0.addresses"],
  ["local without loopback addresses", { local: true }, 422, "declared.local"],
  ["loopback addresses", { addresses: ["10.0.0.5", "127.0.0.1"] }, 403, undefined],
])("a delta of %s is refused as a push of it would be", async (_, { changed, ...said }, status, path) => {
  const { agent, asked } = routesOver();
  const delta = await deltaBody();
  const body = { ...delta, declared: { ...delta.declared, ...said }, changed: changed ?? delta.changed };
  const fault = await faultOf(await agent.send("PATCH", hostPath, body));
  expect(fault.status).toBe(status);
  expect(fault.faults?.[0]?.path).toBe(path);
  expect(asked).toEqual([]);
});
