import { describe, expect, test } from "vitest";

import { dnsMessageType, dohPath } from "../../shared/dns/doh.ts";
import { createTestApp, faultOf, optRecord, queryFor } from "../testing/app.ts";
import type { ZoneReader } from "../zone/zone.ts";

const query = queryFor("web", 1);
const asGet = (bytes: Uint8Array) => `${dohPath}?dns=${Buffer.from(bytes).toString("base64url")}`;

function post(bytes: Uint8Array | ReadableStream, headers: Record<string, string> = {}): RequestInit {
  const body = bytes instanceof Uint8Array ? new Uint8Array(bytes) : bytes;
  return {
    method: "POST",
    headers: { "content-type": dnsMessageType, ...headers },
    body,
    duplex: "half",
  } as RequestInit;
}

describe("GET and POST /dns-query", () => {
  test("answer alike", async () => {
    const { app } = createTestApp();
    const replies = await Promise.all([
      app.request(asGet(query)),
      app.request(dohPath, post(query)),
      app.request(dohPath, post(query, { "content-type": `${dnsMessageType.toUpperCase()}; charset=x` })),
    ]);
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
    const [one, two, three] = await Promise.all(replies.map((reply) => reply.arrayBuffer()));
    expect(two).toEqual(one);
    expect(three).toEqual(one);
  });

  const twoCounted = Buffer.from(query);
  twoCounted.writeUInt16BE(2, 4);
  const badOpt = Buffer.concat([queryFor("web", 1, [optRecord()])]);
  badOpt[badOpt.length - 1] = 9;
  const pointer = Buffer.concat([query.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]);

  test.each<[string, Buffer]>([
    ["nothing", Buffer.alloc(0)],
    ["half a header", query.subarray(0, 11)],
    ["a question cut short", query.subarray(0, query.length - 1)],
    ["a name cut short", query.subarray(0, 15)],
    ["trailing octets", Buffer.concat([query, Buffer.from([0])])],
    ["more questions counted than there are", twoCounted],
    ["an OPT longer than the message", badOpt],
    ["a name that points at itself", pointer],
    ["text", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ])("refuse %s with 400", async (_, bytes) => {
    const { app, logged } = createTestApp();
    for (const response of [await app.request(asGet(bytes)), await app.request(dohPath, post(bytes))]) {
      expect(await faultOf(response)).toMatchObject({ status: 400, code: "malformed-message" });
    }
    expect(logged).toEqual([]);
  });

  test.each([
    ["no ?dns=", ""],
    ["an empty one", "?dns="],
    ["base64 instead of base64url", "?dns=AAAB+AAA/w"],
    ["padding", `${asGet(query).slice(dohPath.length)}==`],
    ["a length no octets have", "?dns=AAAAA"],
    ["another parameter", "?name=web.berth.internal&type=A"],
  ])("refuse a GET with %s", async (_, search) => {
    const response = await createTestApp().app.request(`${dohPath}${search}`);
    expect(await faultOf(response)).toMatchObject({ status: 400, code: "malformed-message" });
  });

  test.each([
    ["missing", ""],
    ["JSON's", "application/dns-json"],
    ["one that begins alike", `${dnsMessageType}s`],
  ])("refuse a POST whose content-type is %s", async (_, type) => {
    const response = await createTestApp().app.request(dohPath, post(query, { "content-type": type }));
    expect(await faultOf(response)).toMatchObject({ status: 415, code: "bad-content-type" });
  });

  test("refuse other methods, saying which there are", async () => {
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await createTestApp().app.request(dohPath, { method });
      expect(response.headers.get("allow")).toBe("GET, POST");
      expect(await faultOf(response)).toMatchObject({ status: 405, code: "method-not-allowed" });
    }
  });

  test("refuse more than a DNS message can hold, however its length is told", async () => {
    const { app } = createTestApp();
    const long = new Uint8Array(65_536);
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(60_000)),
    });
    for (const request of [
      app.request(dohPath, post(long, { "content-length": "65536" })),
      app.request(dohPath, post(long)),
      app.request(dohPath, post(endless)),
      app.request(asGet(long)),
    ]) {
      expect(await faultOf(await request)).toMatchObject({ status: 413, code: "body-too-large" });
    }
  });
});

test.each([
  ["", false],
  ["no-cache", true],
  ["max-age=0, No-Store", true],
  ["max-age=0", false],
])("cache-control %j asks past every copy: %s", async (header, expected) => {
  const asked: boolean[] = [];
  const zone: ZoneReader = {
    read(_, fresh) {
      asked.push(fresh);
      return { serial: 1, revision: 1, exists: false, rrsets: [], additional: [] };
    },
  };
  await createTestApp({ zone }).app.request(dohPath, post(query, { "cache-control": header }));
  expect(asked).toEqual([expected]);
});

test("a copy of unknown age says so to a client that sent OPT (RFC 8914)", async () => {
  const zone: ZoneReader = {
    read: () => ({ serial: 1, revision: 1, exists: false, rrsets: [], additional: [], stale: true }),
  };
  const { app } = createTestApp({ zone });
  const reply = async (bytes: Buffer) =>
    Buffer.from(await (await app.request(dohPath, post(bytes))).arrayBuffer());
  const staleAnswer = Buffer.from([0, 15, 0, 30, 0, 3]);
  expect((await reply(queryFor("web", 1, [optRecord()]))).includes(staleAnswer)).toBe(true);
  expect((await reply(query)).includes(staleAnswer)).toBe(false);
});
