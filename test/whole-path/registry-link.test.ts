import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { until } from "../testbed/wait.ts";
import { answersDuring, isAnswered } from "./answers.ts";
import { serve, untilPage } from "./pages.ts";
import type { Part } from "./parts.ts";
import { startTap, type Tap } from "./tap.ts";
import { createWorld, engineOf, startAgent, type World } from "./world.ts";

const lease = 5;
const leaseMs = lease * 1000;

describe("an agent's link to the resolver", () => {
  let world: World;
  let tap: Tap;
  let agent: Part;

  beforeAll(async () => {
    world = await createWorld({ hasAgents: false });
    tap = await startTap(world);
    const { netns = "", engine } = world.hosts[0] ?? expect.fail("no host");
    const place = { netns, socket: engine.socketPath, dir: join(world.dir, "agent"), resolver: tap.resolver };
    agent = await startAgent(place, ["--lease", `${lease}`, "--log-level", "debug"]);
    await serve(engineOf(world), "cafe");
  });
  beforeEach(async () => {
    if (!agent.isRunning) await agent.start();
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
    await untilLinked();
  });
  afterAll(() => world?.close());

  it("keeps the lease without a request", async () => {
    const before = requests();
    const answers = answersDuring(world, "cafe");
    await sleep(2 * leaseMs);
    expect(await answers.stop()).toMatchObject({ absent: 0 });
    expect(requests()).toEqual(before);
  });

  it("tells the resolver nothing by its end: requests carry the lease on, and a new link follows", async () => {
    const answers = answersDuring(world, "cafe");
    const before = tap.count("PUT", "/lease");
    const links = tap.links();
    tap.cut();
    await until("renewals by request", () => tap.count("PUT", "/lease") >= before + 3, { timeoutMs: 20_000 });
    tap.mend();
    await until("a new link", () => tap.links() > links, { timeoutMs: 30_000 });
    const { there, absent } = await answers.stop();
    expect(absent).toBe(0);
    expect(there).toBeGreaterThan(20);
  });

  it("comes back after a restart of the resolver, and no name is missed", async () => {
    const answers = answersDuring(world, "cafe");
    const links = tap.links();
    await world.resolver.part.stop();
    await world.resolver.part.start();
    await until("a new link", () => tap.links() > links, { timeoutMs: 30_000 });
    await sleep(leaseMs);
    const { there, absent } = await answers.stop();
    expect(absent).toBe(0);
    expect(there).toBeGreaterThan(20);
    expect(agent.process.lines.filter((line) => line.startsWith("error"))).toEqual([]);
  });

  it.each(["SIGKILL", "SIGSTOP"] as const)(
    "that falls silent (%s) loses the names when the lease is over, not before",
    async (signal) => {
      agent.process.signal(signal);
      const silentAt = performance.now();
      const isGone = async () => !(await isAnswered(world, "cafe"));
      await until("the name to be gone", isGone, { timeoutMs: leaseMs + 5000 });
      const afterMs = performance.now() - silentAt;
      console.log(`${signal}: names gone after ${Math.round(afterMs)} ms, lease ${lease} s`);
      // The last ping can have been a third of the lease ago.
      expect(afterMs).toBeGreaterThan(leaseMs / 2);
      agent.process.signal("SIGCONT");
    },
  );

  function requests(): Record<string, number> {
    return Object.fromEntries(["PUT", "PATCH", "POST"].map((method) => [method, tap.count(method, "")]));
  }

  async function untilLinked(): Promise<void> {
    const isLinked = () => {
      const news = agent.process.lines.filter((line) => /renews the lease by a link|no link to/.test(line));
      return news.at(-1)?.includes("renews the lease by a link") ?? false;
    };
    await until("the link to be open", isLinked, { timeoutMs: 60_000 });
  }
});
