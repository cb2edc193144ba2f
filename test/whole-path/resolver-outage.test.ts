import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../testbed/wait.ts";
import { answersDuring, isAnswered } from "./answers.ts";
import { serve, untilPage } from "./pages.ts";
import type { Part } from "./parts.ts";
import { createWorld, engineOf, type World } from "./world.ts";

const lease = 6;

describe("a resolver that ends", () => {
  let world: World;
  let agent: Part;
  let agentPid: number;

  beforeAll(async () => {
    world = await createWorld({ agentFlags: ["--lease", `${lease}`] });
    agent = world.agents[0] ?? expect.fail("no agent");
    agentPid = agent.process.pid;
    await serve(engineOf(world), "cafe");
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
  });
  afterAll(() => world?.close());

  it("by a crash still has all names at its first answer, and the agent renews them", async () => {
    const { part } = world.resolver;
    // Nobody may tell it again: what it answers is what it kept.
    agent.process.signal("SIGSTOP");
    await part.kill9();
    await part.start();
    expect(await isAnswered(world, "cafe")).toBe(true);
    agent.process.signal("SIGCONT");
    const answers = answersDuring(world, "cafe");
    // Longer than the fresh lease of the start.
    await sleep((lease + 2) * 1000);
    const { there, absent } = await answers.stop();
    expect({ absent, agent: agent.process.pid, runs: agent.isRunning }).toEqual({
      absent: 0,
      agent: agentPid,
      runs: true,
    });
    expect(there).toBeGreaterThan(20);
  });

  it("and loses its database gets every name again from the agents", async () => {
    const { part, dir } = world.resolver;
    await part.stop();
    const files = readdirSync(dir).filter((file) => file.startsWith("registry.db"));
    expect(files).not.toEqual([]);
    for (const file of files) rmSync(join(dir, file));
    agent.process.signal("SIGSTOP");
    await part.start();
    expect(await isAnswered(world, "cafe")).toBe(false);
    agent.process.signal("SIGCONT");
    await until("the name to be back", () => isAnswered(world, "cafe"), { timeoutMs: 30_000 });
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
    expect(agent.process.pid).toBe(agentPid);
    expect(agent.isRunning).toBe(true);
  });
});

describe("a Worker whose runtime crashes", () => {
  let world: World;

  beforeAll(async () => {
    // No lease may end while it is away, however slow the machine is.
    world = await createWorld({ runtime: "worker", agentFlags: ["--lease", "60"] });
  });
  afterAll(() => world?.close());

  it("still has all names at its first answer", async () => {
    await serve(engineOf(world), "cafe");
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
    const agent = world.agents[0]?.process ?? expect.fail("no agent");
    const { part } = world.resolver;
    agent.signal("SIGSTOP");
    // workerd is a child of the process that started it.
    part.process.killGroup();
    await part.process.exited;
    await part.start();
    expect(await isAnswered(world, "cafe")).toBe(true);
    agent.signal("SIGCONT");
    await untilPage(world, "http://cafe.berth.internal/", "cafe");
  });
});
