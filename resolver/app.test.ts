import { describe, expect, test } from "vitest";

import { pushReplySchema } from "../shared/binding.ts";
import { hostListSchema, serviceListSchema } from "../shared/registry-views.ts";
import { type Access, bootstrapAccess, everything } from "./access.ts";
import { binding, ip } from "./store/contract/builders.ts";
import {
  adminToken,
  agentToken,
  createTestApp,
  faultOf,
  hostId,
  hostIdFor,
  pushBody,
  readerToken,
  send,
  TestAgent,
} from "./testing/app.ts";

const hostPath = `/v1/hosts/${hostId}`;
const problem = { container: "c", code: "no-port", message: "publishes no port" };
const tooLong = 16 * 1024 * 1024 + 1;

/** A body without content-length, as a chunked request arrives. */
function streamOf(length: number): ReadableStream<Uint8Array> {
  let left = length;
  return new ReadableStream({
    pull(controller) {
      const size = Math.min(left, 65_536);
      if (size === 0) return controller.close();
      controller.enqueue(new Uint8Array(size).fill(0x20));
      left -= size;
    },
  });
}

describe("the push API", () => {
  test("takes a push, a delta, a renewal and a withdrawal, and lists in between", async () => {
    const { app, agent } = createTestApp();
    const push = await pushBody();
    const pushed = await agent.send("PUT", hostPath, push);
    expect(pushed.status).toBe(200);
    expect(pushReplySchema.parse(await pushed.json())).toMatchObject({ lease: 15, hostLabel: "nas" });
    const more = { ...push.declared, bindings: [...push.declared.bindings, binding("db")] };
    const { digest } = await pushBody(more);
    const { bindings: _, ...said } = more;
    const delta = {
      lease: 15,
      base: push.digest,
      digest,
      declared: said,
      changed: [binding("db")],
      gone: [],
    };
    expect((await agent.send("PATCH", hostPath, delta)).status).toBe(200);
    expect((await agent.send("PUT", `${hostPath}/lease`, { lease: 15, digest })).status).toBe(200);
    const hosts = hostListSchema.parse(await (await send(app, "GET", "/v1/hosts")).json());
    expect(hosts.hosts.map(({ hostLabel }) => hostLabel)).toEqual(["nas"]);
    const services = serviceListSchema.parse(await (await send(app, "GET", "/v1/services")).json());
    const names = ["db.berth.internal.", "web.shop.berth.internal."];
    expect(services.services.map(({ name }) => name)).toEqual(names);
    expect((await agent.send("DELETE", hostPath)).status).toBe(204);
    const again = await faultOf(await agent.send("DELETE", hostPath));
    expect(again).toMatchObject({ status: 404, code: "unknown-host" });
  });

  test.each([
    ["none", {}],
    ["another scheme", { authorization: `Basic ${agentToken}` }],
    ["one never given out", { authorization: "Bearer guess" }],
    ["a prefix of the right one", { authorization: `Bearer ${agentToken.slice(0, -1)}` }],
    ["two", { authorization: `Bearer ${agentToken} ${agentToken}` }],
    ["an empty one", { authorization: "Bearer " }],
  ])("asks for a token when there is %s", async (_, headers) => {
    const { app } = createTestApp();
    for (const [method, path] of [
      ["GET", "/v1/hosts"],
      ["GET", "/v1/services"],
      ["PUT", hostPath],
      ["PATCH", hostPath],
      ["PUT", `${hostPath}/lease`],
      ["DELETE", hostPath],
      ["GET", "/v1/nothing"],
    ] as const) {
      const response = await send(app, method, path, undefined, { authorization: "", ...headers });
      expect(response.headers.get("www-authenticate"), path).toBe("Bearer");
      expect(await faultOf(response), path).toMatchObject({ status: 401, code: "unknown-token" });
    }
  });

  test("lets a reader's token read and nothing else, even with a host's signature", async () => {
    const { app } = createTestApp();
    const headers = { authorization: `Bearer ${readerToken}` };
    expect((await send(app, "GET", "/v1/hosts", undefined, headers)).status).toBe(200);
    expect((await send(app, "HEAD", "/v1/services", undefined, headers)).status).toBe(200);
    const elsewhere = await faultOf(await send(app, "POST", "/v1/nothing", {}, headers));
    expect(elsewhere).toMatchObject({ status: 403, code: "token-not-allowed" });
    const reader = new TestAgent(app, "a", readerToken);
    for (const [method, path] of [
      ["PUT", hostPath],
      ["PATCH", hostPath],
      ["PUT", `${hostPath}/lease`],
      ["DELETE", hostPath],
    ] as const) {
      const body = method === "DELETE" ? undefined : await pushBody();
      const refused = await faultOf(await reader.send(method, path, body));
      expect(refused).toMatchObject({ status: 403, code: "token-not-allowed" });
    }
  });

  test("lets an admin's token remove a host unsigned, and not speak for one", async () => {
    const { app, agent } = createTestApp();
    const headers = { authorization: `Bearer ${adminToken}` };
    await agent.send("PUT", hostPath, await pushBody());
    const push = await new TestAgent(app, "a", adminToken).send("PUT", hostPath, await pushBody());
    expect(await faultOf(push)).toMatchObject({ status: 403, code: "token-not-allowed" });
    expect((await send(app, "DELETE", hostPath, undefined, headers)).status).toBe(204);
    const again = await faultOf(await send(app, "DELETE", hostPath, undefined, headers));
    expect(again).toMatchObject({ status: 404, code: "unknown-host" });
  });

  test.each([
    ["malformed JSON", "{", {}, 400, "malformed-json"],
    ["no body", "", {}, 400, "malformed-json"],
    ["a form", "a=b", { "content-type": "application/x-www-form-urlencoded" }, 415, "bad-content-type"],
    [
      "a longer type that begins alike",
      "{}",
      { "content-type": "application/jsonp" },
      415,
      "bad-content-type",
    ],
    ["not an object", "[]", {}, 422, "invalid-body"],
  ])("refuses %s", async (_, body, headers, status, code) => {
    const { agent } = createTestApp();
    const response = await agent.send("PUT", hostPath, body, { headers });
    expect(await faultOf(response)).toMatchObject({ status, code });
  });

  test("names every value that is wrong by its path", async () => {
    const { agent } = createTestApp();
    const { declared, ...rest } = await pushBody();
    const [good] = declared.bindings;
    const bindings = [
      good,
      { ...good, name: "a..b", port: 0 },
      { ...good, addresses: ["10.9.9.9"] },
      { ...good, x: 1 },
    ];
    const body = { ...rest, lease: 0, declared: { ...declared, bindings } };
    const response = await agent.send("PUT", hostPath, body);
    const fault = await faultOf(response);
    expect(fault).toMatchObject({ status: 422, code: "invalid-body" });
    const paths = fault.faults?.map(({ path }) => path) ?? [];
    for (const path of [
      "lease",
      "declared.bindings.1.name",
      "declared.bindings.1.port",
      "declared.bindings.3",
    ]) {
      expect(paths).toContain(path);
    }
  });

  test("refuses addresses that are not the host's, and lists 50 faults at most", async () => {
    const { agent } = createTestApp();
    const { declared, ...rest } = await pushBody();
    const bindings = Array.from({ length: 60 }, () => ({ ...declared.bindings[0], addresses: ["10.9.9.9"] }));
    const fault = await faultOf(
      await agent.send("PUT", hostPath, { ...rest, declared: { ...declared, bindings } }),
    );
    expect(fault.message).toContain("60");
    expect(fault.faults).toHaveLength(50);
    expect(fault.faults?.[0]?.path).toBe("declared.bindings.0.addresses");
  });

  test.each([
    ["a host id of another shape", "/v1/hosts/nas", {}, "hostId"],
    ["a digest of something else", hostPath, { digest: "0".repeat(64) }, "digest"],
    ["a turn in the body", hostPath, { epoch: 1, sequence: 1 }, ""],
  ])("refuses %s", async (_, path, fields, faultPath) => {
    const { agent } = createTestApp();
    const fault = await faultOf(await agent.send("PUT", path, await pushBody({}, fields)));
    expect(fault).toMatchObject({ status: 422, faults: [{ path: faultPath }] });
  });

  test.each([
    ["the only ones", ["127.0.0.1"]],
    ["one of them", ["10.0.0.5", "::1"]],
  ])("refuses loopback addresses, when they are %s, with the mend", async (_, texts) => {
    const { agent } = createTestApp();
    const push = await pushBody({ addresses: texts.map(ip) });
    const fault = await faultOf(await agent.send("PUT", hostPath, push));
    expect(fault).toMatchObject({ status: 403, code: "local-host-refused" });
    expect(fault.message).toContain("--advertise");
    const loopbackOnly = createTestApp({ acceptsLocal: () => true });
    expect((await loopbackOnly.agent.send("PUT", hostPath, push)).status).toBe(200);
  });

  test("refuses a set that calls itself local without being it, and the other way round", async () => {
    const { agent } = createTestApp({ acceptsLocal: () => true });
    for (const changed of [{ local: true }, { local: false, addresses: [ip("127.0.0.1")] }]) {
      const fault = await faultOf(await agent.send("PUT", hostPath, await pushBody(changed)));
      expect(fault).toMatchObject({ status: 422, faults: [{ path: "declared.local" }] });
    }
  });

  test("says 409 with the facts an agent acts on", async () => {
    const { agent } = createTestApp();
    const { lease, digest } = await pushBody();
    const renewed = await faultOf(await agent.send("PUT", `${hostPath}/lease`, { lease, digest }));
    expect(renewed).toMatchObject({ status: 409, code: "unknown-digest" });
    await agent.send("PUT", hostPath, await pushBody(), { epoch: 4 });
    const older = await faultOf(await agent.send("PUT", hostPath, await pushBody(), { epoch: 3 }));
    expect(older).toMatchObject({ status: 409, code: "superseded", heldEpoch: 4, leaseRemaining: 15 });
  });

  test("refuses a request that comes a second time, whatever was answered since", async () => {
    const { app, agent } = createTestApp();
    await agent.send("PUT", hostPath, await pushBody());
    const signed = await agent.sign("PUT", hostPath, await pushBody({ problems: [problem] }), {
      sequence: 2,
    });
    const replay = () => app.request(signed.clone());
    expect((await replay()).status).toBe(200);
    expect(await faultOf(await replay())).toMatchObject({ status: 409, code: "superseded", heldEpoch: 1 });
    expect((await agent.send("PUT", hostPath, await pushBody(), { sequence: 3 })).status).toBe(200);
    expect(await faultOf(await replay())).toMatchObject({ status: 409, code: "superseded" });
    expect((await agent.send("DELETE", hostPath, undefined, { sequence: 4 })).status).toBe(204);
    const afterwards = await faultOf(await replay());
    expect(afterwards).toMatchObject({ status: 409, code: "superseded" });
  });

  test("refuses what was signed for another life of the registry, and says for which to sign", async () => {
    const { agent } = createTestApp();
    const generation = "another";
    const fault = await faultOf(await agent.send("PUT", hostPath, await pushBody(), { generation }));
    expect(fault).toMatchObject({ status: 401, code: "unknown-generation", generation: expect.any(String) });
    await agent.send("PUT", hostPath, await pushBody());
    expect(agent.generation).toBe(fault.generation);
    const renewal = await agent.send("DELETE", hostPath, undefined, { generation });
    expect(await faultOf(renewal)).toMatchObject({ status: 401, code: "unknown-generation" });
  });

  test("refuses a token whose scope names other hosts, by host id or label", async () => {
    const scopeOf = (hosts: string[]): Access => ({
      ...bootstrapAccess("agent"),
      scope: { ...everything, hosts },
    });
    const statuses = async (hosts: string[]) => {
      const { agent } = createTestApp({ tokens: { check: async () => scopeOf(hosts) } });
      const response = await agent.send("PUT", hostPath, await pushBody());
      return response.ok ? response.status : await faultOf(response);
    };
    const refused = { status: 403, code: "host-not-allowed" };
    expect(await statuses(["attic"])).toMatchObject(refused);
    expect(await statuses([await hostIdFor("b")])).toMatchObject(refused);
    expect(await statuses([hostId])).toBe(200);
    expect(await statuses(["nas"])).toBe(200);
  });

  test("refuses a delta on a set it does not hold, and one that leads elsewhere", async () => {
    const { agent } = createTestApp();
    const { declared, digest } = await pushBody();
    const { bindings: _, ...said } = declared;
    const delta = { lease: 15, base: digest, digest: "0".repeat(64), declared: said, changed: [], gone: [] };
    const early = await faultOf(await agent.send("PATCH", hostPath, delta));
    expect(early).toMatchObject({ status: 409, code: "unknown-digest" });
    await agent.send("PUT", hostPath, await pushBody());
    const wrong = await faultOf(await agent.send("PATCH", hostPath, delta));
    expect(wrong).toMatchObject({ status: 422, code: "invalid-body", faults: [{ path: "digest" }] });
  });

  test.each([
    ["with", { "content-length": String(tooLong) }],
    ["without", {}],
  ])("refuses a body over the limit, %s content-length", async (_, headers) => {
    const { app, agent } = createTestApp();
    const signed = await agent.sign("PUT", hostPath, "{}", { sequence: 1, headers });
    const init = { method: "PUT", headers: signed.headers, body: streamOf(tooLong), duplex: "half" };
    const response = await app.request(hostPath, init as RequestInit);
    expect(await faultOf(response)).toMatchObject({ status: 413, code: "body-too-large" });
  });

  test("answers 404 where nothing is", async () => {
    const { app } = createTestApp();
    for (const path of ["/", "/v1", "/dns-query/", "/v1/hosts/x/y/z", "/v1/services/x"]) {
      expect(await faultOf(await send(app, "GET", path)), path).toMatchObject({
        status: 404,
        code: "not-found",
      });
    }
  });
});
