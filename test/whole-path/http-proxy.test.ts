import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startChromium } from "../testbed/browser.ts";
import { mustRun, runCommand } from "../testbed/process.ts";
import { composeLabels, serve, untilPage } from "./pages.ts";
import { createWorld, engineOf, proxyAddress, type World } from "./world.ts";

const shop = "http://web.shop.berth.internal/";
const page = "http://127.0.0.1:1081";

describe("the proxy for programs that know no SOCKS", () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld();
    await serve(engineOf(world), "shop-web-1", { page: "the shop", labels: composeLabels("shop", "web") });
    await untilPage(world, shop, "the shop");
  });
  afterAll(() => world?.close());

  /** Its answer, and behind it status codes: of CONNECT, if any, and of the page. */
  function curl(...args: string[]) {
    const argv = ["curl", "-q", "--silent", "--show-error", "--max-time", "20", "--noproxy", ""];
    const codes = ["--write-out", "\n%{http_connect} %{response_code}"];
    return runCommand([...argv, ...codes, ...args], { netns: world.client.netns });
  }
  const byHttp = ["--proxy", `http://${proxyAddress}`];

  it("is an HTTP proxy for curl: requests, several over one connection, and CONNECT", async () => {
    expect((await curl(...byHttp, shop)).stdout).toMatch(/the shop.*\n000 200$/s);
    const twice = await curl(...byHttp, "--verbose", shop, shop);
    expect(twice.stdout.match(/<p>the shop/g)).toHaveLength(2);
    expect(twice.stderr).toMatch(/Re-using existing connection/i);
    expect((await curl(...byHttp, "--proxytunnel", shop)).stdout).toMatch(/the shop.*\n200 200$/s);
    expect((await curl(...byHttp, "--head", shop)).stdout).toMatch(/^HTTP\/1\.[01] 200/);
  });

  it("tells curl why there is nothing", async () => {
    const unknown = await curl(...byHttp, "http://nosuch.berth.internal/");
    expect(unknown.stdout).toMatch(/^berth: nosuch\.berth\.internal:80: nothing is published .*\n\n000 502$/);
    const port = await curl(...byHttp, "http://web.shop.berth.internal:81/");
    expect(port.stdout).toMatch(/it publishes 80\n\n000 502$/);
    const outside = await curl(...byHttp, "http://example.com/");
    expect(outside.stdout).toMatch(/outside the zones are denied.*\n\n000 403$/);
    expect((await curl(...byHttp, "--proxytunnel", "http://example.com/")).stdout).toMatch(/\n403 000$/);
  });

  it("shows how it is", async () => {
    const status = JSON.parse(
      await mustRun(["curl", "-qs", `${page}/status`], { netns: world.client.netns }),
    );
    expect(status).toMatchObject({
      listen: proxyAddress,
      zones: ["berth.internal"],
      refused: expect.any(Object),
    });
    expect(status.granted).toBeGreaterThan(0);
    const metrics = await mustRun(["curl", "-qs", `${page}/metrics`], { netns: world.client.netns });
    expect(metrics).toMatch(/^berth_proxy_granted_total \d+$/m);
    expect(metrics).toMatch(/^berth_proxy_resolver_up\{url="[^"]+"\} 1$/m);
  });

  it("is found by Chromium through its automatic configuration, for the zone alone", async () => {
    const chromium = await startChromium({ pac: `${page}/proxy.pac`, netns: world.client.netns });
    try {
      expect(await chromium.open(shop)).toMatchObject({ status: 200, title: "the shop" });
      expect(await chromium.open("http://WEB.shop.berth.internal./")).toMatchObject({ status: 200 });
      // Through the proxy it would be a refusal; nobody answers DNS here.
      expect(await chromium.open("http://outside.example/")).toMatchObject({
        error: "ERR_NAME_NOT_RESOLVED",
      });
      expect(await chromium.open(`${page}/`)).toMatchObject({ status: 200, title: "berth proxy" });
    } finally {
      await chromium.close();
    }
  });

  it("serves Chromium as an HTTP proxy, with a page that says what is wrong", async () => {
    const chromium = await startChromium({ proxy: `http://${proxyAddress}`, netns: world.client.netns });
    try {
      expect(await chromium.open(shop)).toMatchObject({ status: 200, title: "the shop" });
      const missing = await chromium.open("http://nosuch.berth.internal/");
      expect(missing).toMatchObject({
        status: 502,
        body: expect.stringMatching(/^berth: nosuch\.berth\.internal:80: /),
      });
    } finally {
      await chromium.close();
    }
  });
});
