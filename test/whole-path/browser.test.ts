import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Chromium, startChromium } from "../testbed/browser.ts";
import { until } from "../testbed/wait.ts";
import { isAnswered } from "./answers.ts";
import { composeLabels, serve, untilPage } from "./pages.ts";
import { createWorld, engineOf, proxyAddress, type World } from "./world.ts";

describe("Chromium behind the proxy", () => {
  let world: World;
  let chromium: Chromium;

  beforeAll(async () => {
    world = await createWorld();
    chromium = await startChromium({ proxy: `socks5://${proxyAddress}`, netns: world.client.netns });
  });
  afterAll(async () => {
    await chromium?.close();
    await world?.close();
  });

  it("opens a Compose service by its name", async () => {
    const labels = composeLabels("shop", "web");
    for (const name of ["shop-web-1", "shop-web-2"])
      await serve(engineOf(world), name, { page: "the shop", labels });
    await untilPage(world, "http://web.shop.berth.internal/", "the shop");
    const page = await chromium.open("http://web.shop.berth.internal/");
    expect(page).toMatchObject({ status: 200, title: "the shop" });
  });

  it("shows its own error page for a service that stopped", async () => {
    await serve(engineOf(world), "cafe");
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
    expect(await chromium.open("http://cafe.berth.internal/")).toMatchObject({ status: 200, title: "cafe" });
    await engineOf(world).docker("stop", "cafe");
    await until("the name to be gone", async () => !(await isAnswered(world, "cafe")));
    const page = await chromium.open("http://cafe.berth.internal/");
    expect(page).toMatchObject({ status: 0, error: "ERR_SOCKS_CONNECTION_FAILED" });
  });
});
