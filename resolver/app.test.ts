import { describe, expect, test } from "vitest";

import { pushReplySchema } from "../shared/binding.ts";
import { hostListSchema, serviceListSchema } from "../shared/registry-views.ts";
import { ip } from "./store/contract/builders.ts";
import { agentToken, createTestApp, faultOf, hostId, pushBody, readerToken, send } from "./testing/app.ts";

const hostPath = `/v1/hosts/${hostId}`;

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
  test("takes a push, a renewal and a withdrawal, and lists in between", async () => {
    const { app } = createTestApp();
    const push = await pushBody();
    const pushed = await send(app, "PUT", hostPath, push);
    expect(pushed.status).toBe(200);
    expect(pushReplySchema.parse(await pushed.json())).toMatchObject({ lease: 15, hostLabel: "nas" });
    const { declared: _, ...renewal } = { ...push, sequence: 2 };
    expect((await send(app, "PUT", `${hostPath}/lease`, renewal)).status).toBe(200);
    const hosts = hostListSchema.parse(await (await send(app, "GET", "/v1/hosts")).json());
    expect(hosts.hosts.map(({ hostLabel }) => hostLabel)).toEqual(["nas"]);
    const services = serviceListSchema.parse(await (await send(app, "GET", "/v1/services")).json());
    expect(services.services.map(({ name }) => name)).toEqual(["web.shop.berth.internal."]);
    expect((await send(app, "DELETE", hostPath)).status).toBe(204);
    expect(await faultOf(await send(app, "DELETE", hostPath))).toMatchObject({
      status: 404,
      code: "unknown-host",
    });
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
      ["PUT", `${hostPath}/lease`],
      ["DELETE", hostPath],
      ["GET", "/v1/nothing"],
    ] as const) {
      const response = await send(app, method, path, undefined, { authorization: "", ...headers });
      expect(response.headers.get("www-authenticate"), path).toBe("Bearer");
      expect(await faultOf(response), path).toMatchObject({ status: 401, code: "unknown-token" });
    }
  });

  test("lets a reader's token read and nothing else", async () => {
    const { app } = createTestApp();
    const headers = { authorization: `Bearer ${readerToken}` };
    expect((await send(app, "GET", "/v1/hosts", undefined, headers)).status).toBe(200);
    expect((await send(app, "HEAD", "/v1/services", undefined, headers)).status).toBe(200);
    for (const [method, path] of [
      ["PUT", hostPath],
      ["PUT", `${hostPath}/lease`],
      ["DELETE", hostPath],
    ] as const) {
      const response = await send(
        app,
        method,
        path,
        method === "PUT" ? await pushBody() : undefined,
        headers,
      );
      expect(await faultOf(response)).toMatchObject({ status: 403, code: "token-not-allowed" });
    }
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
    const { app } = createTestApp();
    expect(await faultOf(await send(app, "PUT", hostPath, body, headers))).toMatchObject({ status, code });
  });

  test("names every value that is wrong by its path", async () => {
    const { app } = createTestApp();
    const { declared, ...turn } = await pushBody();
    const [good] = declared.bindings;
    const bindings = [
      good,
      { ...good, name: "a..b", port: 0 },
      { ...good, addresses: ["10.9.9.9"] },
      { ...good, x: 1 },
    ];
    const response = await send(app, "PUT", hostPath, {
      ...turn,
      epoch: 0,
      declared: { ...declared, bindings },
    });
    const fault = await faultOf(response);
    expect(fault).toMatchObject({ status: 422, code: "invalid-body" });
    const paths = fault.faults?.map(({ path }) => path) ?? [];
    for (const path of [
      "epoch",
      "declared.bindings.1.name",
      "declared.bindings.1.port",
      "declared.bindings.3",
    ]) {
      expect(paths).toContain(path);
    }
  });

  test("refuses addresses that are not the host's, and lists 50 faults at most", async () => {
    const { app } = createTestApp();
    const { declared, ...turn } = await pushBody();
    const bindings = Array.from({ length: 60 }, () => ({ ...declared.bindings[0], addresses: ["10.9.9.9"] }));
    const fault = await faultOf(
      await send(app, "PUT", hostPath, { ...turn, declared: { ...declared, bindings } }),
    );
    expect(fault.message).toContain("60");
    expect(fault.faults).toHaveLength(50);
    expect(fault.faults?.[0]?.path).toBe("declared.bindings.0.addresses");
  });

  test.each([
    ["a host id of another shape", "/v1/hosts/nas", {}, "hostId"],
    ["a digest of something else", hostPath, { digest: "0".repeat(64) }, "digest"],
  ])("refuses %s", async (_, path, turn, faultPath) => {
    const { app } = createTestApp();
    const fault = await faultOf(await send(app, "PUT", path, await pushBody({}, turn)));
    expect(fault).toMatchObject({ status: 422, faults: [{ path: faultPath }] });
  });

  test.each([
    ["the only ones", ["127.0.0.1"]],
    ["one of them", ["10.0.0.5", "::1"]],
  ])("refuses loopback addresses, when they are %s, with the mend", async (_, texts) => {
    const { app } = createTestApp();
    const push = await pushBody({ addresses: texts.map(ip) });
    const fault = await faultOf(await send(app, "PUT", hostPath, push));
    expect(fault).toMatchObject({ status: 403, code: "local-host-refused" });
    expect(fault.message).toContain("--advertise");
    const loopbackOnly = createTestApp({ acceptsLocal: () => true });
    expect((await send(loopbackOnly.app, "PUT", hostPath, push)).status).toBe(200);
  });

  test("refuses a set that calls itself local without being it, and the other way round", async () => {
    const { app } = createTestApp({ acceptsLocal: () => true });
    for (const changed of [{ local: true }, { local: false, addresses: [ip("127.0.0.1")] }]) {
      const fault = await faultOf(await send(app, "PUT", hostPath, await pushBody(changed)));
      expect(fault).toMatchObject({ status: 422, faults: [{ path: "declared.local" }] });
    }
  });

  test("says 409 with the facts an agent acts on", async () => {
    const { app } = createTestApp();
    const { declared: _, ...renewal } = await pushBody();
    const renewed = await faultOf(await send(app, "PUT", `${hostPath}/lease`, renewal));
    expect(renewed).toMatchObject({ status: 409, code: "unknown-digest" });
    await send(app, "PUT", hostPath, await pushBody({}, { epoch: 4 }));
    const older = await faultOf(await send(app, "PUT", hostPath, await pushBody({}, { epoch: 3 })));
    expect(older).toMatchObject({ status: 409, code: "superseded", heldEpoch: 4, leaseRemaining: 15 });
  });

  test.each([
    ["with", { "content-length": String(16 * 1024 * 1024 + 1) }, 16 * 1024 * 1024 + 1],
    ["without", {}, 16 * 1024 * 1024 + 1],
  ])("refuses a body over the limit, %s content-length", async (_, lengthHeader, length) => {
    const { app } = createTestApp();
    const headers = {
      authorization: `Bearer ${agentToken}`,
      "content-type": "application/json",
      ...lengthHeader,
    };
    const init = { method: "PUT", headers, body: streamOf(length), duplex: "half" };
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
