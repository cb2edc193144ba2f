import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { request } from "node:https";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

import { readConfig } from "../../shared/config.ts";
import { createLog } from "../../shared/log.ts";
import { observedSchema } from "../../shared/registry-views.ts";
import { observedAddress } from "../../shared/resolver-client.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import { resolverOptions } from "../config.ts";
import { startResolver } from "../node.ts";
import { adminToken, createTestApp, faultOf, readerToken, send } from "../testing/app.ts";

const silent = createLog("resolver", "error", () => undefined);
const path = "/v1/observed";

interface Client {
  /** The resolver's address, as this client names it. */
  host: string;
  /** Its own. */
  from: string;
  forwardedFor?: string;
}

/** A resolver on sockets; both ways of asking resolve to the address it says it saw. */
async function startObserving(listen: string, trustedProxies: string) {
  const directory = makeTemporaryDir("berth-observed-");
  onTestFinished(() => directory.remove());
  const flags = { stateDir: join(directory.path, "state"), listen, trustedProxies };
  const resolver = await startResolver(readConfig(resolverOptions, flags, {}), silent);
  onTestFinished(() => resolver.close());
  const { port } = resolver.address;
  const ca = readFileSync(resolver.caFile);
  const token = readFileSync(resolver.agentTokenFile, "utf8").trim();
  const headersFrom = ({ forwardedFor }: Client) =>
    forwardedFor === undefined ? {} : { "x-forwarded-for": forwardedFor };

  /** As an agent asks, over HTTP/1.1. */
  function observed(client: Client): Promise<string> {
    const fetch: typeof globalThis.fetch = (_, init) =>
      new Promise((resolve, reject) => {
        const headers = { ...Object.fromEntries(new Headers(init?.headers)), ...headersFrom(client) };
        const { host, from: localAddress } = client;
        const options = { host, port, path, headers, localAddress, ca, agent: false as const };
        const sent = request({ ...options, servername: "localhost" }, (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () =>
            resolve(new Response(Buffer.concat(chunks), { status: response.statusCode ?? 0 })),
          );
        });
        sent.on("error", reject).end();
      });
    return observedAddress({ fetch, url: "https://localhost", token, timeoutMs: 10_000 });
  }

  async function observedByHttp2(client: Client): Promise<string> {
    const host = client.host.includes(":") ? `[${client.host}]` : client.host;
    const options = { ca, servername: "localhost", localAddress: client.from };
    const session = connect(`https://${host}:${port}`, options);
    onTestFinished(() => session.destroy());
    const stream = session.request({
      ":path": path,
      authorization: `Bearer ${token}`,
      ...headersFrom(client),
    });
    return observedSchema.parse(JSON.parse(await streamText(stream))).address;
  }

  return { observed, observedByHttp2 };
}

async function streamText(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}

describe("a resolver on Node tells an agent by which address it sees it", () => {
  test("over IPv4 and HTTP/1.1 or HTTP/2: whoever is no trusted proxy is believed nothing", async () => {
    const { observed, observedByHttp2 } = await startObserving("127.0.0.1:0", "127.0.0.9");
    for (const ask of [observed, observedByHttp2]) {
      const at = { host: "127.0.0.1" };
      expect(await ask({ ...at, from: "127.0.0.7" })).toBe("127.0.0.7");
      expect(await ask({ ...at, from: "127.0.0.7", forwardedFor: "203.0.113.9" })).toBe("127.0.0.7");
      const claimed = "192.0.2.1, 203.0.113.9";
      expect(await ask({ ...at, from: "127.0.0.9", forwardedFor: claimed })).toBe("203.0.113.9");
    }
  });

  test("over IPv6", async () => {
    const { observed, observedByHttp2 } = await startObserving("[::1]:0", "");
    for (const ask of [observed, observedByHttp2])
      expect(await ask({ host: "::1", from: "::1", forwardedFor: "2001:db8::9" })).toBe("::1");
    const behind = await startObserving("[::1]:0", "::1");
    expect(await behind.observed({ host: "::1", from: "::1", forwardedFor: "2001:db8::9" })).toBe(
      "2001:db8::9",
    );
  });

  test("at a socket for both, IPv4 as IPv4, of a trusted proxy too", async () => {
    const { observed } = await startObserving("[::]:0", "127.0.0.9");
    expect(await observed({ host: "127.0.0.1", from: "127.0.0.7" })).toBe("127.0.0.7");
    expect(await observed({ host: "::1", from: "::1" })).toBe("::1");
    const behind = { host: "127.0.0.1", from: "127.0.0.9" };
    expect(await observed({ ...behind, forwardedFor: "203.0.113.9" })).toBe("203.0.113.9");
    await expect(observed(behind)).rejects.toMatchObject({ code: "not-supported" });
  });
});

describe("GET /v1/observed", () => {
  const { app } = createTestApp({ peerOf: () => "198.51.100.7" });

  test("tells an agent, unsigned, and lets nobody keep it", async () => {
    const response = await send(app, "GET", "/v1/observed");
    expect(await response.json()).toEqual({ address: "198.51.100.7" });
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test.each([readerToken, adminToken])("tells no other token (%s)", async (token) => {
    const reply = await send(app, "GET", "/v1/observed", undefined, { authorization: `Bearer ${token}` });
    expect(await faultOf(reply)).toMatchObject({ status: 403, code: "token-not-allowed" });
  });

  test("is refused where nobody knows", async () => {
    const reply = await send(createTestApp().app, "GET", "/v1/observed");
    expect(await faultOf(reply)).toMatchObject({ status: 501, code: "not-supported" });
  });
});

describe("--trusted-proxies", () => {
  const read = (trustedProxies: string) =>
    readConfig(resolverOptions, { stateDir: "/nowhere", trustedProxies }, {}).trustedProxies;

  test("takes addresses in any spelling", () => {
    expect(read("10.0.0.2, ::ffff:10.0.0.3,2001:DB8::2")).toEqual(["10.0.0.2", "10.0.0.3", "2001:db8::2"]);
  });

  test.each(["10.0.0.0/8", "proxy.example"])("does not take %s", (text) => {
    expect(() => read(text)).toThrow(/--trusted-proxies .*not a list of IP addresses/);
  });
});
