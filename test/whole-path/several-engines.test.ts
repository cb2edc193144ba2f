import { statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import type { RunningAgent } from "../../agent/main.ts";
import { type Engine, startEngine } from "../testbed/engine.ts";
import { importSampleImage } from "../testbed/image.ts";
import { whyNoEngines } from "../testbed/requirements.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { ownAddresses, startAgentBeside } from "./agent-beside.ts";
import { declaredIn, truthOf } from "./engine-truth.ts";
import { PushRecorder } from "./push-recorder.ts";

// One agent with two engines: what befalls the second is nothing to the first.

const timeout = 120_000;

describe.skipIf(whyNoEngines() !== undefined)("one agent beside two engines", { timeout }, () => {
  const dir = makeTemporaryDir("berth-2-");
  let first: Engine;
  let second: Engine;
  let resolver: PushRecorder;
  let agent: RunningAgent | undefined;
  let count = 0;

  beforeAll(async () => {
    first = await startEngine({ index: 1 });
    second = await startEngine({ index: 2 });
    for (const engine of [first, second]) await importSampleImage(engine);
    await first.runContainer({ name: "one", publish: ["80"] });
    // An engine that is killed and started again leaves it as it was, though with another port.
    await second.runContainer({ name: "two", publish: ["80", "8080:80"], restart: "always" });
  }, timeout);

  afterEach(async () => {
    await agent?.close();
    await resolver?.close();
  });

  afterAll(async () => {
    await first?.stop();
    await second?.stop();
    dir.remove();
  }, timeout);

  async function start(...engines: string[]): Promise<void> {
    resolver = await PushRecorder.start();
    const own = join(dir.path, `agent-${count++}`);
    const targets = engines.map((path) => `unix://${path}`);
    agent = await startAgentBeside({ engines: targets, resolver, dir: own, flags: { engineGrace: "20" } });
  }

  function untilTrue(what: string, ...engines: Engine[]): Promise<true> {
    return until(
      what,
      async () => {
        const truths = await Promise.all(engines.map((engine) => truthOf(engine, ownAddresses)));
        expect(declaredIn(resolver)).toEqual(truths.flat().toSorted());
        return true as const;
      },
      { timeoutMs: 40_000 },
    );
  }

  test("both engines' containers are declared", async () => {
    await start(first.socketPath, second.socketPath);
    await untilTrue("one and two", first, second);
    await second.runContainer({ name: "later", publish: ["80"] });
    await untilTrue("what is started later", first, second);
    await second.docker("rm", "--force", "later");
    await untilTrue("its end", first, second);
    expect(resolver.problems).toEqual([]);
  });

  test("one that is not there holds up nothing, and is a problem in the end", async () => {
    await start(join(dir.path, "nowhere"), first.socketPath);
    await untilTrue("the other's", first);
    await until("the problem", () => resolver.problems.includes("engine-unreachable"), { timeoutMs: 60_000 });
    expect(declaredIn(resolver)).toEqual(await truthOf(first, ownAddresses));
  });

  test("one that is frozen from the start is waited for a moment only", async () => {
    second.freeze();
    try {
      await start(first.socketPath, second.socketPath);
      await untilTrue("the first one's", first);
    } finally {
      second.thaw();
    }
    await untilTrue("both, once it answers", first, second);
  });

  test("one that freezes keeps what it had, while the other is followed", async () => {
    await start(first.socketPath, second.socketPath);
    await untilTrue("both", first, second);
    const seconds = await truthOf(second, ownAddresses);
    second.freeze();
    try {
      await first.docker("restart", "one");
      const firsts = await truthOf(first, ownAddresses);
      await until("one's new port", () => {
        expect(declaredIn(resolver)).toEqual([...firsts, ...seconds].toSorted());
        return true;
      });
    } finally {
      second.thaw();
    }
    await untilTrue("both", first, second);
  });

  test("one that is killed loses its ephemeral ports, the other nothing", async () => {
    await start(first.socketPath, second.socketPath);
    await untilTrue("both", first, second);
    const firsts = await truthOf(first, ownAddresses);
    const fixed = (await truthOf(second, ownAddresses)).filter((line) => line.endsWith(":8080"));
    await second.kill9();
    await until("the fixed port alone", () => {
      expect(declaredIn(resolver)).toEqual([...firsts, ...fixed].toSorted());
      return true;
    });
    expect(resolver.problems).toEqual(["engine-unreachable"]);
    await first.docker("restart", "one");
    const restarted = await truthOf(first, ownAddresses);
    await until("the other is followed", () => {
      expect(declaredIn(resolver)).toEqual([...restarted, ...fixed].toSorted());
      return true;
    });
    await second.restart();
    await untilTrue("both", first, second);
    await until("no problem", () => resolver.problems.length === 0);
  });

  test("one whose socket is another file after its restart is found again", async () => {
    await start(first.socketPath, second.socketPath);
    await untilTrue("both", first, second);
    // Its number may be given to the next file.
    const bornAt = () => statSync(second.socketPath, { bigint: true }).ctimeNs;
    const before = bornAt();
    await second.restart({ signal: "SIGTERM" });
    expect(bornAt()).toBeGreaterThan(before);
    await second.docker("restart", "two");
    await untilTrue("both", first, second);
  });

  test("the same name on both is a problem, and the first one keeps it as the host's own", async () => {
    await first.runContainer({ name: "same", publish: ["80"] });
    await second.runContainer({ name: "same", publish: ["80"] });
    await start(first.socketPath, second.socketPath);
    const own = "same.alpha.host.berth.internal.";
    const port = await first.publishedPort("same", "80/tcp");
    await until("the first one's", () => resolver.bindingsOf(own)?.some((binding) => binding.port === port));
    const ports = [port, await first.publishedPort("same", "80/tcp", 6)];
    for (const binding of resolver.bindingsOf(own) ?? []) expect(ports).toContain(binding.port);
    await until("the problem", () => resolver.problems.some((problem) => problem.includes("same")));
    await first.docker("rm", "--force", "same");
    await second.docker("rm", "--force", "same");
    await untilTrue("neither", first, second);
  });
});
