import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { agentOptions } from "../../agent/config.ts";
import { type RunningAgent, startAgent } from "../../agent/main.ts";
import { readConfig } from "../../shared/config.ts";
import { createLog } from "../../shared/log.ts";
import { type Engine, startEngine } from "../testbed/engine.ts";
import { importSampleImage } from "../testbed/image.ts";
import { whyNoEngines } from "../testbed/requirements.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { PushRecorder } from "./push-recorder.ts";

// The agent against Docker itself: events, renumbered ports, and an engine that dies. The resolver here only checks digests.

const timeout = 120_000;
const dir = makeTemporaryDir("berth-agent-");
afterAll(() => dir.remove());

describe.skipIf(whyNoEngines() !== undefined)("the agent beside a Docker engine", { timeout }, () => {
  let engine: Engine;
  let resolver: PushRecorder;
  let agent: RunningAgent;

  beforeAll(async () => {
    engine = await startEngine();
    await importSampleImage(engine);
    resolver = await PushRecorder.start();
    agent = await startTestAgent(engine, resolver, "one");
  }, timeout);

  afterAll(async () => {
    await agent?.close();
    await resolver?.close();
    await engine?.stop();
  }, timeout);

  test("an empty engine is an empty set", async () => {
    await until("the first push", () => resolver.declared !== undefined);
    expect(resolver.declared).toMatchObject({ bindings: [], problems: [] });
  });

  test("a container's ports are declared as they are, TCP and UDP, IPv4 and IPv6", async () => {
    await engine.runContainer({ name: "web", publish: ["80", "8080:8080", "53/udp"] });
    const found = await until("web is declared", () => resolver.bindingsOf("web.berth.internal."));
    const port = await engine.publishedPort("web", "80/tcp");
    const udp = await engine.publishedPort("web", "53/udp");
    const short = found.map((binding) => [
      binding.servicePort,
      binding.protocol,
      binding.port,
      binding.fixed,
    ]);
    expect(short.toSorted()).toEqual([
      [53, "udp", udp, false],
      [80, "tcp", port, false],
      [8080, "tcp", 8080, true],
    ]);
    expect(new Set(found.flatMap(({ addresses }) => addresses))).toEqual(new Set(["10.77.0.1", "fd77::1"]));
    expect(resolver.bindingsOf("web.alpha.host.berth.internal.")).toHaveLength(3);
  });

  test("a restart gives an ephemeral port another number, and another instance", async () => {
    const [before] = resolver.bindingsOn("web", 80);
    await engine.docker("restart", "web");
    const port = await engine.publishedPort("web", "80/tcp");
    expect(port).not.toBe(before?.port);
    await until("the new port is declared", () => resolver.bindingsOn("web", 80)[0]?.port === port);
    expect(resolver.bindingsOn("web", 80)[0]?.instance).not.toBe(before?.instance);
  });

  test("docker network connect renumbers the ports of a running container", async () => {
    const before = await engine.publishedPort("web", "80/tcp");
    // Its name sorts before "bridge", so it takes over as the container's gateway.
    await engine.docker("network", "create", "aaa");
    await engine.docker("network", "connect", "aaa", "web");
    const port = await until("Docker has renumbered", async () => {
      const now = await engine.publishedPort("web", "80/tcp");
      return now === before ? undefined : now;
    });
    await until("the new port is declared", () => resolver.bindingsOn("web", 80)[0]?.port === port);
    await engine.docker("network", "disconnect", "aaa", "web");
    await until(
      "the port after the disconnect is declared",
      async () => resolver.bindingsOn("web", 80)[0]?.port === (await engine.publishedPort("web", "80/tcp")),
    );
  });

  test("a paused container is withdrawn, and comes back", async () => {
    await engine.docker("pause", "web");
    await until("web is gone", () => resolver.bindingsOn("web", 80).length === 0);
    await engine.docker("unpause", "web");
    await until("web is back", () => resolver.bindingsOn("web", 80).length === 1);
  });

  test("a renamed container has its new name", async () => {
    await engine.docker("rename", "web", "shop");
    await until("shop is declared", () => resolver.bindingsOf("shop.berth.internal.") !== undefined);
    expect(resolver.bindingsOf("web.berth.internal.")).toBeUndefined();
    await engine.docker("rename", "shop", "web");
  });

  test("a wrong label is a problem, and leaves the others alone", async () => {
    await engine.runContainer({ name: "bad", publish: ["80"], labels: { "berth.name": "no_good" } });
    await until("the problem is pushed", () => resolver.declared?.problems.length === 1);
    expect(resolver.declared?.problems[0]).toMatchObject({ container: "bad", code: "bad-label" });
    expect(resolver.bindingsOn("web", 80)).toHaveLength(1);
    await engine.docker("rm", "--force", "bad");
    await until("it is over", () => resolver.declared?.problems.length === 0);
  });

  test("a burst of starts ends in one right set", async () => {
    const names = ["b0", "b1", "b2", "b3", "b4"];
    await Promise.all(names.map((name) => engine.runContainer({ name, publish: ["80"] })));
    for (const name of names) {
      const port = await engine.publishedPort(name, "80/tcp");
      await until(`${name} is declared`, () => resolver.bindingsOn(name, 80)[0]?.port === port);
    }
    await engine.docker("rm", "--force", ...names);
    await until("they are gone", () => names.every((name) => resolver.bindingsOn(name, 80).length === 0));
  });

  test("a quiet host renews, and pushes nothing", async () => {
    const pushes = resolver.pushes;
    const renewals = resolver.renewals;
    await until("two renewals", () => resolver.renewals >= renewals + 2);
    expect(resolver.pushes).toBe(pushes);
  });

  test("a frozen engine takes nothing away, and holds up neither renewals nor the agent's end", async () => {
    engine.freeze();
    try {
      const renewals = resolver.renewals;
      await until("a renewal", () => resolver.renewals > renewals);
      expect(resolver.bindingsOn("web", 80)).toHaveLength(1);
      const second = await startTestAgent(engine, resolver, "frozen");
      // Vitest's time limit for one test is no proof: an engine call's own limit is 10 s.
      const closed = second.close().then(() => "closed");
      expect(await Promise.race([closed, sleep(3_000, "still open")])).toBe("closed");
    } finally {
      engine.thaw();
    }
  });

  test("kill -9 of dockerd: the ephemeral port goes at once, the fixed one stays", async () => {
    await engine.kill9();
    await until("port 80 is gone", () => resolver.bindingsOn("web", 80).length === 0, { timeoutMs: 3_000 });
    expect(resolver.bindingsOn("web", 8080)).toHaveLength(1);
    expect(resolver.declared?.problems).toMatchObject([{ code: "engine-unreachable" }]);
  });

  test("and after its restart what runs is declared again, and nothing that does not", async () => {
    await engine.restart();
    await until("the engine was read", () => resolver.declared?.problems.length === 0, { timeoutMs: 30_000 });
    expect(await engine.docker("ps", "--format", "{{.Names}}")).toBe("");
    // Docker goes on showing the exited container's old ports.
    expect(resolver.declared?.bindings).toEqual([]);
    await engine.docker("start", "web");
    const port = await engine.publishedPort("web", "80/tcp");
    await until("web is back", () => resolver.bindingsOn("web", 80)[0]?.port === port);
  });

  test("a wiped registry is healed by the next renewal", async () => {
    resolver.wipe();
    await until("the set is pushed again", () => resolver.bindingsOn("web", 80).length === 1);
  });

  test("stopping the agent withdraws nothing, and its successor takes over", async () => {
    await agent.close();
    expect(resolver.bindingsOn("web", 80)).toHaveLength(1);
    expect(resolver.withdrawals).toBe(0);
    const renewals = resolver.renewals;
    agent = await startTestAgent(engine, resolver, "one");
    await until("it renews", () => resolver.renewals > renewals);
  });
});

describe.skipIf(whyNoEngines() !== undefined)("beside an engine with live-restore", { timeout }, () => {
  test("a kill -9 of dockerd withdraws nothing, and its restart neither", async () => {
    const engine = await startEngine({ liveRestore: true });
    await importSampleImage(engine);
    const resolver = await PushRecorder.start();
    const agent = await startTestAgent(engine, resolver, "two");
    try {
      await engine.runContainer({ name: "web", publish: ["80"] });
      await until("web is declared", () => resolver.bindingsOn("web", 80).length === 1);
      const pushes = resolver.pushes;
      await engine.restart({ signal: "SIGKILL" });
      const renewals = resolver.renewals;
      await until("two renewals", () => resolver.renewals >= renewals + 2);
      expect(resolver.pushes).toBe(pushes);
    } finally {
      await agent.close();
      await resolver.close();
      await engine.stop();
    }
  });
});

function startTestAgent(engine: Engine, resolver: PushRecorder, name: string): Promise<RunningAgent> {
  const stateDir = join(dir.path, name);
  const tokenFile = join(dir.path, "token");
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(tokenFile, "secret\n");
  const flags = {
    ...{ engine: engine.socketPath, resolver: resolver.url, stateDir, tokenFile },
    ...{ hostLabel: "alpha", advertise: "10.77.0.1,fd77::1", lease: "5" },
  };
  const log = createLog("agent", "error", (line) => console.error(line));
  return startAgent(readConfig(agentOptions, flags, {}), { fetch, log });
}
