import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type AgentStatus, agentStatusSchema } from "../../agent/status/agent-status.ts";
import { parseMetrics } from "../../agent/testing/prometheus-text.ts";
import { mustRun, runCommand, startProcess } from "../testbed/process.ts";
import { faultsInMetrics, whyNoPromtool } from "../testbed/promtool.ts";
import { until } from "../testbed/wait.ts";
import { serve, untilPage } from "./pages.ts";
import { type Part, runBerth } from "./parts.ts";
import { createWorld, engineOf, type World } from "./world.ts";

const at = "127.0.0.1:9853";
const lease = 6;

describe("what an operator sees of the agent", () => {
  let world: World;
  let agent: Part;
  let netns: string;

  beforeAll(async () => {
    world = await createWorld({
      agentFlags: ["--lease", `${lease}`, "--resync", "2", "--engine-grace", "20"],
    });
    agent = world.agents[0] ?? expect.fail("no agent");
    netns = world.hosts[0]?.netns ?? expect.fail("no host");
    await serve(engineOf(world), "cafe");
    await serve(engineOf(world), "bad", { labels: { "berth.name": "no_good" } });
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
  });
  afterAll(() => world?.close());

  const berth = (...args: string[]) => runBerth(args, { netns });

  async function status(): Promise<AgentStatus> {
    const { stdout } = await berth("status", "--json");
    return agentStatusSchema.parse(JSON.parse(stdout));
  }

  async function metrics(): Promise<Map<string, number>> {
    const page = await mustRun(["curl", "--silent", "--fail", `http://${at}/metrics`], { netns });
    return new Map(parseMetrics(page).map(({ name, value }) => [name, value]));
  }

  it("while all is well: an engine that is up, a lease that runs, exit code 0", async () => {
    const found = await until("the lease's first renewal", async () => {
      const now = await status();
      return now.resolver.renewals > 0 && now.problems.length > 0 && now;
    });
    expect(found.engines).toMatchObject([{ kind: "docker", up: true, containers: 2 }]);
    expect(found.resolver).toMatchObject({ up: true, lease });
    expect(found.resolver.leaseRemaining).toBeGreaterThan(0);
    expect(found.bindings).toBeGreaterThan(0);
    expect(found.problems).toMatchObject([{ container: "bad", code: "bad-label" }]);
    const people = await berth("status");
    expect(people).toMatchObject({ code: 0, stderr: "" });
    expect(people.stdout).toMatch(/^lease .* of 6 s left/m);
    expect(people.stdout).toMatch(/^bad +bad-label +/m);
  });

  it.skipIf(whyNoPromtool() !== undefined)("and Prometheus has nothing against its metrics", async () => {
    expect(
      await faultsInMetrics(await mustRun(["curl", "--silent", `http://${at}/metrics`], { netns })),
    ).toBe("");
    const found = await metrics();
    expect(found.get("berth_agent_engine_up")).toBe(1);
    expect(found.get("berth_agent_pushes_total")).toBeGreaterThan(0);
    expect(found.get("berth_agent_last_sync_age_seconds")).toBeLessThan(lease);
  });

  it("explains a container, and knows no other", async () => {
    const cafe = await berth("explain", "cafe");
    expect(cafe.code).toBe(0);
    expect(cafe.stdout).toContain("cafe.berth.internal");
    expect(await berth("explain", "absent")).toMatchObject({ code: 1, stdout: "" });
  });

  it("does not answer for a name that was made to point here, nor other machines", async () => {
    const asked = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}"];
    const rebound = await runCommand([...asked, "--header", "Host: evil.example", `http://${at}/status`], {
      netns,
    });
    expect(rebound.stdout).toBe("421");
    const host = world.hosts[0]?.address ?? expect.fail("no host");
    const other = await runCommand([...asked, `http://${host}:9853/status`], { netns: world.client.netns });
    expect(other.code).toBe(7);
  });

  it("while the engine is frozen: down, with its age, exit code 1, and up again", async () => {
    const engine = engineOf(world);
    engine.freeze();
    try {
      await until("the engine to be down", async () => (await metrics()).get("berth_agent_engine_up") === 0, {
        timeoutMs: 60_000,
      });
      const said = await berth("status");
      expect(said.code).toBe(1);
      expect(said.stdout).toMatch(/ DOWN /);
      expect(said.stderr).toMatch(/^berth: engine \S+ is down: /);
      expect((await metrics()).get("berth_agent_engine_last_read_age_seconds")).toBeGreaterThan(1);
      // The resolver is told all the while.
      expect((await status()).resolver.up).toBe(true);
    } finally {
      engine.thaw();
    }
    await until("all to be well", async () => (await berth("status")).code === 0, { timeoutMs: 60_000 });
  });

  it("while the resolver is gone: the lease runs down and has lapsed, exit code 1, and runs again", async () => {
    const { part } = world.resolver;
    await part.kill9();
    await until(
      "the resolver to be gone",
      async () => (await metrics()).get("berth_agent_resolver_up") === 0,
    );
    const lapsed = await until("the lease to have lapsed", async () => {
      const said = await berth("status");
      return said.code === 1 && said;
    });
    expect(lapsed.stderr).toMatch(/^berth: the lease at \S+ has lapsed: /);
    expect(lapsed.stdout).toMatch(/^lease +LAPSED/m);
    const found = await metrics();
    expect(found.get("berth_agent_lease_remaining_seconds")).toBe(0);
    expect(found.get("berth_agent_last_sync_age_seconds")).toBeGreaterThanOrEqual(lease);
    await part.start();
    await until("the lease to run", async () => (await berth("status")).code === 0, { timeoutMs: 60_000 });
  });

  it("with the port taken: a warning, an agent that works, and no status of somebody else's", async () => {
    await agent.stop();
    const other = `require("node:http").createServer((_, r) => r.end("{}")).listen(9853, "127.0.0.1", () => console.log("up"))`;
    const taker = startProcess([process.execPath, "-e", other], { netns, name: "the port's taker" });
    try {
      await taker.waitForLine(/up/, 10_000);
      await agent.start();
      await agent.process.waitForLine(/127\.0\.0\.1:9853 is in use by another program/, 10_000);
      await untilPage(world, "http://cafe.berth.internal/", "cafe");
      const said = await berth("status");
      expect(said.code).toBe(2);
      expect(said.stderr).toMatch(/is not a berth agent/);
    } finally {
      await taker.stop();
    }
    // It is tried again every 15 s.
    await until("the agent to have it", async () => (await berth("status")).code === 0, {
      timeoutMs: 60_000,
    });
  });

  it("without an agent: a word on how to start one, and the engine itself explains", async () => {
    await agent.stop();
    const said = await berth("status");
    expect(said).toMatchObject({ code: 1, stdout: "" });
    expect(said.stderr).toMatch(/^berth: no agent answers at 127\.0\.0\.1:9853; start it with berth agent/);
    const explained = await berth("explain", "cafe", "--engine", `unix://${engineOf(world).socketPath}`);
    expect(explained.code).toBe(0);
    expect(explained.stdout).toContain("cafe.berth.internal");
    expect(explained.stderr).toMatch(/the engine is read here instead/);
  });
});
