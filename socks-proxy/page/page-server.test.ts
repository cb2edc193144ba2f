import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";

import { createLog } from "../../shared/log.ts";
import { parseName } from "../../shared/name.ts";
import { statusWith, transparentStatus } from "../testing/page.ts";
import type { PageSource } from "./page-reply.ts";
import { type RunningPage, startPage } from "./page-server.ts";

const lines: string[] = [];
const log = createLog("socks-proxy", "debug", (line) => lines.push(line));
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  lines.length = 0;
});

const source: PageSource = {
  status: () => statusWith({ transparent: transparentStatus }),
  zones: () => [parseName("berth.internal")],
  listen: { host: "127.0.0.1", port: 1080 },
};

async function started(port = 0, from: PageSource = source): Promise<RunningPage> {
  const page = await startPage({ host: "127.0.0.1", port }, from, log);
  closing.push(() => page.close());
  return page;
}

async function ask(page: RunningPage, path: string, options: { method?: string; host?: string } = {}) {
  const { method = "GET", host } = options;
  const port = page.address?.port ?? expect.fail("it does not listen");
  const headers = host === undefined ? {} : { host };
  const request = httpRequest({ host: "127.0.0.1", port, path, method, agent: false, headers });
  request.end();
  const [response] = await once(request, "response");
  return { status: response.statusCode, headers: response.headers, text: await text(response) };
}

describe("the page", () => {
  test.each(["/proxy.pac", "/wpad.dat", "/proxy.pac?x"])(
    "has the automatic configuration at %s",
    async (path) => {
      const reply = await ask(await started(), path);
      expect(reply).toMatchObject({
        status: 200,
        headers: { "content-type": "application/x-ns-proxy-autoconfig" },
      });
      expect(reply.text).toMatch(/function FindProxyForURL\(url, host\)/);
      expect(reply.text).toMatch(/berth\.internal/);
    },
  );

  test("has the status as JSON", async () => {
    const reply = await ask(await started(), "/status");
    expect(reply.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(reply.text)).toMatchObject({
      listen: "127.0.0.1:1080",
      uptime: 100,
      zones: ["berth.internal"],
      refused: { "not-allowed": 1, "not-found": 2 },
      transparent: { problems: [{ mend: "end the other program" }], moreProblems: 41 },
    });
  });

  test("has the metrics", async () => {
    const reply = await ask(await started(), "/metrics");
    expect(reply.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    for (const line of [
      "berth_proxy_connections 2",
      'berth_proxy_refused_total{reason="not-found"} 2',
      'berth_proxy_resolver_up{url="https://two.example/"} 0',
      "berth_proxy_feed_following 1",
      'berth_proxy_bytes_total{direction="down"} 2000',
      "berth_proxy_transparent_problems 42",
    ]) {
      expect(reply.text.split("\n")).toContain(line);
    }
  });

  test("leaves out of the metrics what there is not", async () => {
    const stub = {
      ...statusWith(),
      zones: [],
      resolvers: [],
      feed: "off" as const,
      cached: 0,
      hits: 0,
      misses: 0,
      stale: 0,
    };
    const page = await started(0, { ...source, status: () => statusWith({ stub }) });
    expect((await ask(page, "/metrics")).text).not.toMatch(/transparent|feed|resolver_up/);
  });

  test("says to people what it knows, in words that are no markup", async () => {
    const reply = await ask(await started(), "/");
    expect(reply.headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "content-security-policy": expect.stringMatching(/default-src 'none'/),
      "x-content-type-options": "nosniff",
    });
    for (const words of [
      "ALL_PROXY=socks5h://127.0.0.1:1080",
      "failing: connect ECONNREFUSED",
      "not-allowed: 1, not-found: 2",
      "tcp 127.64.0.5:80 &lt;in use&gt;; end the other program",
      "and 41 more",
      "1 min 40 s",
    ]) {
      expect(reply.text).toContain(words);
    }
  });

  test.each<[string, string, { method?: string; host?: string }, number]>([
    ["a name that was made to point here", "/status", { host: "evil.example" }, 421],
    ["this machine by name", "/status", { host: "localhost:1081" }, 200],
    ["this machine by its IPv6 address", "/status", { host: "[::1]:1081" }, 200],
    ["another method", "/status", { method: "POST" }, 405],
    ["the length alone", "/status", { method: "HEAD" }, 200],
    ["another path", "/x", {}, 404],
    ["a path with a host in it", "//127.0.0.1/status", {}, 404],
  ])("%s", async (_, path, options, status) => {
    const reply = await ask(await started(), path, options);
    expect(reply.status).toBe(status);
    if (options.method === "HEAD") expect(Number(reply.headers["content-length"])).toBeGreaterThan(100);
  });

  test("is read by no web site", async () => {
    const { headers } = await ask(await started(), "/status");
    expect(headers["access-control-allow-origin"]).toBeUndefined();
    expect(headers["cross-origin-resource-policy"]).toBe("same-origin");
  });

  test("a fault of a part costs one request and is in the log", async () => {
    const page = await started(0, { ...source, status: () => expect.fail("broken part") });
    expect((await ask(page, "/status")).status).toBe(500);
    expect(lines.join("\n")).toMatch(/broken part/);
  });

  test("a port that is taken is a warning, and nothing else", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    closing.push(async () => holder.close());
    const page = await started((holder.address() as AddressInfo).port);
    expect(page.address).toBeUndefined();
    expect(lines.join("\n")).toMatch(
      /warn .*is in use by another program; it is tried again; choose another with --page/,
    );
    await page.close();
  });
});
