import { describe, expect, test } from "vitest";

import { readConfig } from "../../shared/config.ts";
import { dnsMessageType } from "../../shared/dns/doh.ts";
import { lookupsNeedToken, resolverOptions } from "../config.ts";
import { adminToken, agentToken, createTestApp, faultOf, queryFor, readerToken } from "../testing/app.ts";
import { createTokenCheck } from "../tokens.ts";
import { loggablePath } from "./lookup.ts";

type App = ReturnType<typeof createTestApp>["app"];
const query = new Uint8Array(queryFor("", 6));
const inUrl = Buffer.from(query).toString("base64url");

function post(app: App, path: string, headers: Record<string, string> = {}): Promise<Response> {
  const all = { "content-type": dnsMessageType, ...headers };
  return Promise.resolve(app.request(path, { method: "POST", headers: all, body: query }));
}

function get(app: App, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return Promise.resolve(app.request(`${path}?dns=${inUrl}`, { headers }));
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe.each([
  ["POST", post],
  ["GET", get],
])("a lookup by %s where lookups need a token", (_, ask) => {
  const { app } = createTestApp({ lookupsNeedToken: true });

  test.each([readerToken, agentToken, adminToken])("is answered for the bearer of %s", async (token) => {
    const response = await ask(app, "/dns-query", bearer(token));
    expect([response.status, response.headers.get("content-type")]).toEqual([200, dnsMessageType]);
  });

  test("is answered where a token stands in the path", async () => {
    expect((await ask(app, `/t/${readerToken}/dns-query`)).status).toBe(200);
    // What the path says counts: a client that puts it there may be unable to do more.
    expect((await ask(app, `/t/${readerToken}/dns-query`, bearer("wrong"))).status).toBe(200);
  });

  test.each([
    ["no token", "/dns-query", {}],
    ["a wrong one", "/dns-query", bearer("some-other-token-entirely")],
    ["what is no token", "/dns-query", { authorization: "Basic dXNlcjpwYXNz" }],
    ["a wrong one in the path", "/t/some-other-token-entirely/dns-query", {}],
    ["a wrong one in the path and a right one beside it", "/t/wrong/dns-query", bearer(readerToken)],
  ])("is refused with %s", async (_name, path, headers) => {
    const response = await ask(app, path, headers);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    const fault = await faultOf(response);
    expect(fault).toMatchObject({ status: 401, code: "unknown-token" });
    expect(JSON.stringify(fault)).not.toContain("some-other-token-entirely");
  });
});

describe("where lookups need no token", () => {
  const { app } = createTestApp();

  test("nobody is asked for one, and one that is sent is not looked at", async () => {
    expect((await post(app, "/dns-query")).status).toBe(200);
    expect((await post(app, "/dns-query", bearer("stale"))).status).toBe(200);
  });

  test("one in the path must be right all the same", async () => {
    expect((await get(app, `/t/${readerToken}/dns-query`)).status).toBe(200);
    expect((await get(app, "/t/some-other-token-entirely/dns-query")).status).toBe(401);
  });
});

describe("a token in the path", () => {
  test.each([
    "plain-token-of-20-chars",
    "slash/and/slash/and/slash",
    "plus+equals==and~tilde.dot",
    "/starts-and-ends-with-it/",
  ])("%s is told from its percent-encoded form", async (token) => {
    const tokens = createTokenCheck({
      bootstrap: { reader: token },
      table: { find: async () => undefined },
      now: () => 0,
    });
    const { app } = createTestApp({ lookupsNeedToken: true, tokens });
    expect((await get(app, `/t/${encodeURIComponent(token)}/dns-query`)).status).toBe(200);
    const everyOctet = [...token].map((char) => `%${char.charCodeAt(0).toString(16)}`).join("");
    expect((await get(app, `/t/${everyOctet}/dns-query`)).status).toBe(200);
    expect((await get(app, `/t/${encodeURIComponent(`${token}x`)}/dns-query`)).status).toBe(401);
  });

  test.each(["%", "%zz", "%ff%fe", "%00", "%0d%0a", "..%2f..", "x".repeat(10_000)])(
    "%j is refused",
    async (text) => {
      const { app, logged } = createTestApp({ lookupsNeedToken: true });
      expect((await get(app, `/t/${text}/dns-query`)).status).toBe(401);
      expect(logged).toEqual([]);
    },
  );

  test.each(["PUT", "DELETE", "PATCH"])("lets nobody %s", async (method) => {
    const { app } = createTestApp();
    for (const path of ["/dns-query", `/t/${readerToken}/dns-query`]) {
      const response = await app.request(path, { method });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, POST"]);
    }
  });

  test.each([
    "/t/secret-token-of-someone/dns-query",
    "/%74/secret-token-of-someone/dns-query",
    "/t/%73ecret-token-of-someone/dns-query",
  ])("does not reach the log when the check itself fails (%s)", async (path) => {
    const tokens = { check: () => Promise.reject(new Error("the table is broken")) };
    const { app, logged } = createTestApp({ tokens });
    expect((await get(app, path)).status).toBe(500);
    expect(logged.join("\n")).toContain("the table is broken");
    expect(logged.join("\n")).not.toContain("ecret");
    expect(logged.join("\n")).toMatch(/GET \/(t|%74)\/\.\.\.: /);
  });
});

test.each([
  ["/t/secret/dns-query", "/t/..."],
  ["/T/secret", "/T/..."],
  ["/%74/secret/x", "/%74/..."],
  ["/t/secret%2Fmore/dns-query", "/t/..."],
  ["/t/secret/more/dns-query", "/t/..."],
  ["/prefix/t/secret/dns-query", "/prefix/t/..."],
  ["/t/t/secret/dns-query", "/t/..."],
  ["/v1/hosts", "/v1/hosts"],
  ["/dns-query", "/dns-query"],
])("of the path %s a log may show %s", (pathname, shown) => {
  expect(loggablePath(pathname)).toBe(shown);
});

test.each([
  ["auto", "127.0.0.1:8053", false],
  ["auto", "[::1]:8053", false],
  ["auto", "localhost:8053", false],
  ["auto", "0.0.0.0:8053", true],
  ["auto", "192.0.2.7:8053", true],
  ["auto", "resolver.example:8053", true],
  ["on", "127.0.0.1:8053", true],
  ["off", "0.0.0.0:8053", false],
])("with %s, listening at %s, lookups need a token: %s", (lookupTokens, listen, expected) => {
  const config = readConfig(resolverOptions, { stateDir: "/state", lookupTokens, listen }, {});
  expect(lookupsNeedToken(config)).toBe(expected);
});
