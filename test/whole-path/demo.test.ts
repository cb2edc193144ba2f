import { readdirSync, readlinkSync, statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Engine, startEngine } from "../testbed/engine.ts";
import { mountsBelow } from "../testbed/engine-traces.ts";
import { netnsPath, startProcess } from "../testbed/process.ts";
import type { StartedProcess } from "../testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { berth } from "./parts.ts";

describe("berth demo, on an engine that is there", () => {
  let engine: Engine;
  let tmp: TemporaryDir;
  let before: Traces;

  beforeEach(async () => {
    engine = await startEngine();
    tmp = makeTemporaryDir("berth-t-");
    before = await traces();
  });
  afterEach(async () => {
    await engine?.stop();
    tmp?.remove();
  });

  it("proves that it works, and leaves nothing behind", async () => {
    const demo = startDemo("--once");
    expect(await demo.exited, demo.tail()).toEqual({ code: 0, signal: null });
    expect(demo.lines).toContainEqual(expect.stringContaining("http://web.shop.berth.internal/  ->"));
    expect(demo.lines).toContainEqual(expect.stringContaining("http://berth-hello.berth.internal/  ->"));
    await expectNothingLeft();
  });

  const stages: [string, () => Promise<unknown>][] = [
    ["its parts start", () => until("its state directory", () => readdirSync(tmp.path).length > 0, fine)],
    ["its image is made", () => until("its image", async () => (await images()).length > 0, fine)],
    [
      "its first container is made",
      () => until("a container", async () => (await containers()).length > 0, fine),
    ],
  ];
  it.each(stages)("leaves nothing behind when interrupted while %s", async (_, reached) => {
    const demo = startDemo();
    await reached();
    const exit = await demo.stop("SIGINT", 60_000);
    expect(exit, demo.tail()).toEqual({ code: 1, signal: null });
    await expectNothingLeft();
  });

  it("leaves nothing behind when it is ended after the proof", async () => {
    const demo = startDemo();
    await demo.waitForLine(/stays up until Ctrl-C/, 90_000);
    expect(await demo.stop("SIGINT", 60_000)).toEqual({ code: 0, signal: null });
    await expectNothingLeft();
  });

  const fine = { timeoutMs: 60_000, everyMs: 5 };

  function startDemo(...flags: string[]): StartedProcess {
    const env = { DOCKER_HOST: `unix://${engine.socketPath}`, TMPDIR: tmp.path, STATE_DIRECTORY: tmp.path };
    return startProcess(berth("demo", "--yes", ...flags), { netns: engine.netns, env, name: "demo" });
  }

  async function expectNothingLeft(): Promise<void> {
    // A container's shim takes a moment to end after the container is gone.
    await until("the shims to end", async () => (await traces()).processes.length <= before.processes.length);
    expect(await traces()).toEqual(before);
  }

  type Traces = Record<"containers" | "images" | "files" | "mounts" | "processes", string[]>;

  async function traces(): Promise<Traces> {
    const processes = processesIn(engine.netns);
    const files = readdirSync(tmp.path);
    const mounts = mountsBelow(engine.dir);
    return { containers: await containers(), images: await images(), files, mounts, processes };
  }

  async function containers(): Promise<string[]> {
    return linesOf(await engine.docker("ps", "--all", "--quiet"));
  }

  async function images(): Promise<string[]> {
    return linesOf(await engine.docker("images", "--all", "--quiet"));
  }
});

function linesOf(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}

function processesIn(netns: string): string[] {
  const own = `net:[${statSync(netnsPath(netns)).ino}]`;
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && netnsOf(name) === own);
}

/** Undefined for a process that has just ended. */
function netnsOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}
