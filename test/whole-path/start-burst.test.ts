import { afterAll, beforeAll, describe, expect, test } from "vitest";

import type { RunningAgent } from "../../agent/main.ts";
import { type Engine, startEngine } from "../testbed/engine.ts";
import { askEngine } from "../testbed/engine-api.ts";
import { importSampleImage } from "../testbed/image.ts";
import { whyNoEngines } from "../testbed/requirements.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { ownAddresses, startAgentBeside } from "./agent-beside.ts";
import { declaredIn, truthOf } from "./engine-truth.ts";
import { PushRecorder } from "./push-recorder.ts";

// As many starts at once as an engine can do: the registry hears of them in few pushes, and ends with what runs.

const starts = 100;
/** While more keep coming the agent shows changes 400 ms apart, and what a list of everything finds once a second. */
const pushesPerSecond = 3.5;
/** Those before it is at that pace, and the last. */
const freePushes = 8;

describe.skipIf(whyNoEngines() !== undefined)("a burst of starts", () => {
  const dir = makeTemporaryDir("berth-b-");
  const names = Array.from({ length: starts }, (_, index) => `burst${index}`);
  let engine: Engine;
  let resolver: PushRecorder;
  let agent: RunningAgent;

  beforeAll(async () => {
    engine = await startEngine();
    await importSampleImage(engine);
    resolver = await PushRecorder.start();
    agent = await startAgentBeside({ engines: [`unix://${engine.socketPath}`], resolver, dir: dir.path });
    await inParallel(names, createContainer);
    await until("the first push", () => resolver.declared !== undefined);
  });
  afterAll(async () => {
    await agent?.close();
    await resolver?.close();
    // Removing so many one by one takes longer than the test; what a killed engine leaves behind is ended all the same.
    await engine?.kill9();
    await engine?.stop();
    dir.remove();
  });

  test("is a push now and then, with all that runs in the end and nothing of what has ended", async () => {
    const [pushes, begunAt] = [resolver.pushes, performance.now()];
    await inParallel(names, (name) => askEngine(engine, `/containers/${name}/start`, {}));
    await until("the set is what the engine shows", async () => {
      const truth = await truthOf(engine, ownAddresses);
      // Until those that end at once have ended.
      expect(truth).toHaveLength((starts / 2) * ownAddresses.length);
      expect(declaredIn(resolver)).toEqual(truth);
      return true;
    });
    const seconds = (performance.now() - begunAt) / 1_000;
    const made = resolver.pushes - pushes;
    const most = Math.min(starts, freePushes + seconds * pushesPerSecond);
    expect(made, `pushes for ${starts} starts in ${seconds} s`).toBeLessThan(most);
  });

  /** In the host's network, where a start is cheapest and the image's port is declared. Every other one ends at once. */
  function createContainer(name: string): Promise<unknown> {
    const Cmd = Number(name.slice("burst".length)) % 2 === 0 ? ["sleep", "600"] : ["id"];
    const container = { Image: "berth-sample:latest", Cmd, HostConfig: { NetworkMode: "host" } };
    return askEngine(engine, `/containers/create?name=${name}`, container);
  }
});

/** Eight at a time: more only wait for each other in the engine. */
async function inParallel(names: readonly string[], act: (name: string) => Promise<unknown>): Promise<void> {
  const rest = [...names];
  const work = async (): Promise<void> => {
    for (let name = rest.shift(); name !== undefined; name = rest.shift()) await act(name);
  };
  await Promise.all(Array.from({ length: 8 }, work));
}
