import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { until } from "../testbed/wait.ts";
import { answersDuring, isAnswered } from "./answers.ts";
import { serve, untilPage } from "./pages.ts";
import { type Part, runBerth } from "./parts.ts";
import { agentFlags, createWorld, engineOf, type World } from "./world.ts";

const lease = 6;

describe("an agent that ends", () => {
  let world: World;
  let agent: Part;

  beforeAll(async () => {
    world = await createWorld({ agentFlags: ["--lease", `${lease}`, "--log-level", "debug"] });
    agent = world.agents[0] ?? expect.fail("no agent");
    await serve(engineOf(world), "cafe");
  });
  beforeEach(async () => {
    if (!agent.isRunning) await agent.start();
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
  });
  afterAll(() => world?.close());

  it("by a crash keeps its names for the lease, and no longer", async () => {
    await agent.kill9();
    const killedAt = performance.now();
    const gone = until("the name to be gone", async () => !(await isAnswered(world, "cafe")), {
      timeoutMs: (lease + 3) * 1000,
    });
    await gone;
    const afterMs = performance.now() - killedAt;
    console.log(`names gone ${Math.round(afterMs)} ms after the agent, lease ${lease} s`);
    // Its last renewal can have been a third of the lease ago.
    expect(afterMs).toBeGreaterThan((lease / 2) * 1000);
    expect((await world.fetch("http://cafe.berth.internal/")).code).toBe(97);
  });

  it("in order and starts again within the lease never loses its names", async () => {
    const answers = answersDuring(world, "cafe");
    expect((await agent.stop()).code).toBe(0);
    await agent.start();
    await agent.process.waitForLine(/pushed \d+ bindings/);
    // By then the lease of before is over: what is there is what the second agent keeps.
    await sleep(lease * 1000);
    const { there, absent } = await answers.stop();
    expect(absent).toBe(0);
    expect(there).toBeGreaterThan(20);
  });

  it("can withdraw its names at once, but not while it runs", async () => {
    const { netns = "", engine } = world.hosts[0] ?? expect.fail("no host");
    const place = {
      netns,
      socket: engine.socketPath,
      dir: join(world.dir, "agent-0"),
      resolver: world.resolver,
    };
    const withdraw = ["agent", "--withdraw", ...agentFlags(place)];
    const refused = await runBerth(withdraw, { netns });
    expect(refused.stderr).toMatch(
      /^berth: .*an agent runs with this state directory already.*stop it first/,
    );
    expect(refused.code).toBe(2);
    expect(await isAnswered(world, "cafe")).toBe(true);

    await agent.stop();
    expect(await isAnswered(world, "cafe")).toBe(true);
    const done = await runBerth(withdraw, { netns });
    expect(done).toMatchObject({ code: 0, stdout: "this host's names are withdrawn\n" });
    expect(await isAnswered(world, "cafe")).toBe(false);
  });
});
