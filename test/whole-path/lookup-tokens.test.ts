import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openAuthority } from "../../resolver/serve/authority.ts";
import { listenHttps, type SecureTransport } from "../../resolver/serve/listen.ts";
import { binding, ip } from "../../resolver/store/contract/builders.ts";
import { agentToken, createTestApp, hostId, pushBody } from "../../resolver/testing/app.ts";
import { createTokenCheck } from "../../resolver/tokens.ts";
import { createLog } from "../../shared/log.ts";
import { curlDoh, type DnsQuery, digHttps, kdigHttps } from "../testbed/dns-clients.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";

/** As an operator may write one into reader.token: what cannot stand in a path segment is percent-encoded there. */
const readerToken = "reader/token+with~every=kind-of.it";
const inPath = encodeURIComponent(readerToken);

let directory: TemporaryDir;
let resolver: SecureTransport;
let caFile: string;
let page: string;
const closers: (() => unknown)[] = [];

beforeAll(async () => {
  directory = makeTemporaryDir("berth-lookup-");
  const authority = await openAuthority(join(directory.path, "tls"));
  caFile = authority.caFile;
  const service = createServer((_, response) => response.end("the shop")).listen(0, "127.0.0.1");
  await once(service, "listening");
  const { port } = service.address() as AddressInfo;
  page = `http://web.shop.berth.internal:${port}/`;

  const bootstrap = { reader: readerToken, agent: agentToken };
  const tokens = createTokenCheck({ bootstrap, table: { find: async () => undefined }, now: () => 0 });
  const acceptsLocal = () => true;
  const { app, agent } = createTestApp({ lookupsNeedToken: true, tokens, acceptsLocal });
  const bindings = [binding("web.shop", { port, at: ["127.0.0.1"] })];
  const push = await pushBody({ addresses: [ip("127.0.0.1")], bindings });
  expect((await agent.send("PUT", `/v1/hosts/${hostId}`, push)).status).toBe(200);

  const certificate = await authority.serverCertificate(["localhost", "127.0.0.1"], Date.now());
  const log = createLog("resolver", "error", () => undefined);
  resolver = await listenHttps(app.fetch, { host: "127.0.0.1", port: 0 }, certificate, log);
  closers.push(resolver.close, () => service.close(), directory.remove);
});
afterAll(async () => {
  for (const close of closers) await close();
});

function queryAt(path: string, get: boolean): DnsQuery {
  const { host, port } = resolver.address;
  return {
    server: host,
    port,
    name: "web.shop.berth.internal",
    type: "A",
    caFile,
    tlsHostname: "localhost",
    get,
    path,
  };
}

describe.each([
  ["kdig", kdigHttps],
  ["dig", digHttps],
])("a resolver that wants tokens, asked by %s", (_, ask) => {
  it.each([false, true])("answers where the token stands in the path (GET: %s)", async (get) => {
    const reply = await ask(queryAt(`/t/${inPath}/dns-query`, get));
    expect(reply.status, reply.text).toBe("NOERROR");
    expect(reply.answer).toEqual([["web.shop.berth.internal.", expect.any(String), "IN", "A", "127.0.0.1"]]);
  });

  it.each(["/dns-query", "/t/some-other-token/dns-query"])("answers nobody at %s", async (path) => {
    expect((await ask(queryAt(path, false))).status).toBeUndefined();
  });
});

describe("a resolver that wants tokens, asked by curl --doh-url", () => {
  const fetchBy = (path: string) =>
    curlDoh({ url: page, caFile, dohUrl: `https://localhost:${resolver.address.port}${path}` });

  it("leads to the service where the token stands in the path", async () => {
    expect(await fetchBy(`/t/${inPath}/dns-query`)).toMatchObject({ status: 200, body: "the shop" });
  });

  it.each(["/dns-query", "/t/some-other-token/dns-query"])("leads nowhere at %s", async (path) => {
    // CURLE_COULDNT_RESOLVE_HOST
    expect((await fetchBy(path)).code).toBe(6);
  });
});
