import { once } from "node:events";
import { readFileSync } from "node:fs";
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
import { createNetns, type Netns, randomSuffix } from "../testbed/netns.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { pathWithToken, startNodeResolver } from "./resolver-part.ts";

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

describe("a resolver that others can reach", () => {
  const address = "127.0.0.1";
  let netns: Netns;

  beforeAll(async () => {
    netns = await createNetns(`berth-${randomSuffix()}`);
  });
  afterAll(() => netns?.remove());

  it.each([
    ["as it is started", [], [undefined, "NXDOMAIN"]],
    ["with --lookup-tokens off", ["--lookup-tokens", "off"], ["NXDOMAIN", "NXDOMAIN"]],
  ] as const)("%s asks for a token or not, and logs none", async (_, flags, [without, withToken]) => {
    const dir = join(directory.path, `state-${flags.length}`);
    const all = { dir, client: { netns: netns.name, address: "0.0.0.0" } };
    const { part, ...files } = await startNodeResolver({ ...all, flags: [...flags, "--log-level", "debug"] });
    const { port } = files;
    const at = { server: address, port, caFile: files.caFile, tlsHostname: "localhost", netns: netns.name };
    const question = { ...at, name: "nobody.berth.internal", type: "A" };
    expect((await kdigHttps(question)).status).toBe(without);
    expect((await kdigHttps({ ...question, path: pathWithToken(files) })).status).toBe(withToken);
    expect(
      (await kdigHttps({ ...question, path: "/t/berth_of-somebody-else/dns-query" })).status,
    ).toBeUndefined();
    await part.stop();
    const token = readFileSync(files.readerTokenFile, "utf8").trim();
    expect(part.process.lines.filter((line) => line.includes("/t/") || line.includes(token))).toEqual([]);
  });
});

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
