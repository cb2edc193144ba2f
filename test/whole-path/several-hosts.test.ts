import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../testbed/wait.ts";
import { composeLabels, pageOf, serve, untilPage } from "./pages.ts";
import { runBerth } from "./parts.ts";
import { createWorld, engineOf, type World } from "./world.ts";

describe("two container hosts that call themselves the same", () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld({ hosts: 2, agentFlags: ["--host-label", "rack", "--lease", "5"] });
  });
  afterAll(() => world?.close());

  it("publish one port number for different services, each reached by its name", async () => {
    await Promise.all([serve(engineOf(world, 0), "north"), serve(engineOf(world, 1), "south")]);
    await untilPage(world, "http://north.berth.internal/", "north");
    await untilPage(world, "http://south.berth.internal/", "south");
    const ports = await Promise.all([
      engineOf(world, 0).publishedPort("north", "80/tcp"),
      engineOf(world, 1).publishedPort("south", "80/tcp"),
    ]);
    expect(ports[0]).toBe(ports[1]);
  });

  it("publish one fixed port number for different services, each reached by its name", async () => {
    await Promise.all([
      serve(engineOf(world, 0), "east", { publish: "8080:80" }),
      serve(engineOf(world, 1), "west", { publish: "8080:80" }),
    ]);
    await untilPage(world, "http://east.berth.internal/", "east");
    await untilPage(world, "http://west.berth.internal/", "west");
  });

  it("serve the replicas of one Compose service under one name", async () => {
    const labels = composeLabels("shop", "web");
    await serve(engineOf(world, 0), "shop-web-1", { page: "replica 1", labels });
    await serve(engineOf(world, 1), "shop-web-2", { page: "replica 2", labels });
    const seen = new Set<string | undefined>();
    await until(
      "both replicas' pages",
      async () => {
        seen.add(pageOf(await world.fetch("http://web.shop.berth.internal/")));
        return seen.has("replica 1") && seen.has("replica 2");
      },
      { timeoutMs: 30_000 },
    );
    expect([...seen].filter((page) => page !== undefined).toSorted()).toEqual(["replica 1", "replica 2"]);
  });

  it("give both their containers names below a host's label of its own", async () => {
    await serve(engineOf(world, 0), "left");
    await serve(engineOf(world, 1), "right");
    const names = await until("both containers' names", async () => {
      const listed = (await listNames()).filter((name) => /^(left|right)\..*\.host\./.test(name));
      return listed.length === 2 && listed;
    });
    for (const name of names) await untilPage(world, `http://${name}/`, name.split(".")[0] ?? "");
    const labels = names.map((name) => name.split(".")[1] ?? "");
    expect(labels).toContain("rack");
    const suffixed = labels.find((label) => label !== "rack");
    expect(suffixed).toMatch(/^rack-[a-z2-7]{6}$/);
    const told = new RegExp(`another host has the label "rack", .* under "${suffixed}"; .*--host-label`);
    expect(
      world.agents.map(({ process }) => process.lines.some((line) => told.test(line))).toSorted(),
    ).toEqual([false, true]);
  });

  it("and share a host key, because one was cloned, do not fight: one serves, the other says why not", async () => {
    const [first, second] = world.agents;
    if (first === undefined || second === undefined) return expect.fail("two agents");
    await second.stop();
    const states = [0, 1].map((index) => join(world.dir, `agent-${index}`, "state"));
    const [original = "", clone = ""] = states;
    copyFileSync(join(original, "host.key"), join(clone, "host.key"));
    const seen = [first, second].map(({ isRunning, process }) => (isRunning ? process.lines.length : 0));
    await second.start();
    const told = /another process uses this host's key.*cloned machine.*remove host\.key/;
    await until("one to say so", () => newLines().some((line) => told.test(line)));
    // More than two leases, in each of which they could take the host from each other.
    await sleep(12_000);
    const newest = newLines();
    expect(newest.filter((line) => told.test(line))).toHaveLength(1);
    expect(newest.filter((line) => /pushed \d+ bindings/.test(line)).length).toBeLessThanOrEqual(1);
    expect(pageOf(await world.fetch("http://south.berth.internal/"))).toBe("south");

    function newLines(): string[] {
      return [first, second].flatMap((agent, index) => agent?.process.lines.slice(seen[index]) ?? []);
    }
  });

  async function listNames(): Promise<string[]> {
    const { url, caFile, readerTokenFile } = world.resolver;
    const flags = ["--resolver", url, "--ca", caFile, "--token-file", readerTokenFile];
    const { stdout } = await runBerth(["ls", ...flags], { netns: world.client.netns });
    return stdout.split("\n").map((line) => line.split("  ")[0] ?? "");
  }
});
