import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kdigHttps } from "../testbed/dns-clients.ts";
import { until } from "../testbed/wait.ts";
import { fetchAgain, pageOf, serve, untilPage } from "./pages.ts";
import { pathWithToken } from "./resolver-part.ts";
import { createWorld, engineOf, type World } from "./world.ts";

describe.each(["node", "worker"] as const)("a service in a container, the resolver on %s", (runtime) => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ runtime });
  });
  afterAll(() => world?.close());

  it("is fetched by its name, wherever its port is", async () => {
    await serve(engineOf(world), "cafe");
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
    await serve(engineOf(world), "bar");
    await untilPage(world, "http://bar.berth.internal/", "bar");
    expect(pageOf(await world.fetch("http://cafe.berth.internal/"))).toBe("cafe");
  });

  it("is fetched by its name again after a restart gave it another port", async () => {
    await serve(engineOf(world), "kiosk");
    await untilPage(world, "http://kiosk.berth.internal/", "kiosk");
    const before = await engineOf(world).publishedPort("kiosk", "80/tcp");
    await engineOf(world).docker("restart", "kiosk");
    const { tries, ms } = await fetchAgain(world, "http://kiosk.berth.internal/", "kiosk");
    const after = await engineOf(world).publishedPort("kiosk", "80/tcp");
    console.log(`${runtime}: port ${before} -> ${after}, page after ${tries} fetches, ${ms} ms`);
    expect(after).not.toBe(before);
  });

  it("has no name and is unreachable once it stopped", async () => {
    await serve(engineOf(world), "shed");
    await untilPage(world, "http://shed.berth.internal/", "shed");
    await engineOf(world).docker("stop", "shed");
    await until(
      "NXDOMAIN",
      async () => (await world.doh.ask("shed.berth.internal", "A")).rcode === "NXDOMAIN",
    );
    const refused = await world.fetch("http://shed.berth.internal/");
    expect(refused.code).toBe(97);
    // RFC 1928 §6: X'04' Host unreachable.
    expect(refused.stderr).toMatch(/SOCKS5 connection to shed\.berth\.internal.*\(4\)/);
    if (runtime === "node") await expectNxdomainFromKdig("shed.berth.internal");
  });

  async function expectNxdomainFromKdig(name: string): Promise<void> {
    const { address, port, caFile } = world.resolver;
    const at = { server: address, port, caFile, tlsHostname: address, netns: world.client.netns };
    const path = pathWithToken(world.resolver);
    expect((await kdigHttps({ ...at, path, name, type: "A" })).status).toBe("NXDOMAIN");
  }
});
