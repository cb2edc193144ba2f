import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Engine, startEngine } from "../testbed/engine.ts";
import { mountsBelow } from "../testbed/engine-traces.ts";
import { importSampleImage } from "../testbed/image.ts";
import { startProcess } from "../testbed/process.ts";
import type { StartedProcess } from "../testbed/started-process.ts";
import { makeTemporaryDir, type TemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { processesIn } from "./netns-processes.ts";
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
    for (const line of [
      "Names     web.shop.berth.internal  berth-hello.berth.internal",
      "curl --socks5-hostname 127.0.0.1:1080 http://web.shop.berth.internal/",
      "chromium --proxy-pac-url=http://127.0.0.1:1081/proxy.pac",
      "_80._tcp.web.shop.berth.internal SRV",
    ]) {
      expect(demo.lines).toContainEqual(expect.stringContaining(line));
    }
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

  it.each(["SIGINT", "SIGHUP"] as const)(
    "leaves nothing behind when %s ends it after the proof",
    async (signal) => {
      const demo = startDemo();
      await demo.waitForLine(/stays up until Ctrl-C/, 90_000);
      expect(await demo.stop(signal, 60_000)).toEqual({ code: 0, signal: null });
      expect(demo.lines).toContain("berth: ending; press Ctrl-C again to stop at once");
      await expectNothingLeft();
    },
  );

  it("leaves nothing behind when nobody reads what it prints", async () => {
    const code = join(tmp.path, "code");
    const line = `{ ${berth("demo", "--yes", "--once").join(" ")}; echo $? >${code}; } 2>&1 | true`;
    const demo = startProcess(["sh", "-c", line], { netns: engine.netns, env: environment(), name: "demo" });
    await until("it to end", () => existsSync(code) && readFileSync(code, "utf8") !== "", fine);
    await demo.exited;
    expect(readFileSync(code, "utf8")).toBe("0\n");
    rmSync(code);
    await expectNothingLeft();
  });

  it("leaves alone what others have on the engine, and another demo's samples", async () => {
    await importSampleImage(engine);
    const imagesBefore = await images();
    await engine.runContainer({ name: "shop-web-1", labels: { "berth-demo": "mine" }, publish: ["80"] });
    const first = startDemo();
    await first.waitForLine(/stays up until Ctrl-C/, 90_000);
    const second = startDemo("--once", "--listen", "127.0.0.1:18053", "--proxy-listen", "127.0.0.1:11080");
    expect(await second.exited, second.tail()).toEqual({ code: 0, signal: null });
    expect(await containers()).toHaveLength(4);
    expect(first.lines).toContainEqual(
      expect.stringContaining(`http://berth-hello-${first.pid}.berth.internal/  ->`),
    );
    expect(await first.stop("SIGINT", 60_000)).toEqual({ code: 0, signal: null });
    expect(await containers()).toHaveLength(1);
    expect(await images()).toEqual(imagesBefore);
    expect(readdirSync(tmp.path)).toEqual([]);
  });

  it("removes the samples of a demo that was killed", async () => {
    const killed = startDemo();
    await killed.waitForLine(/stays up until Ctrl-C/, 90_000);
    await killed.kill9();
    expect(await containers()).toHaveLength(3);
    const next = startDemo("--once");
    expect(await next.exited, next.tail()).toEqual({ code: 0, signal: null });
    expect(await containers()).toEqual([]);
    expect(await images()).toEqual(before.images);
  });

  it("uses no state but its own", async () => {
    const demo = startProcess(berth("demo", "--yes", "--once"), {
      netns: engine.netns,
      env: { ...environment(), BERTH_STATE_DIR: join(tmp.path, "users") },
      name: "demo",
    });
    expect(await demo.exited, demo.tail()).toEqual({ code: 0, signal: null });
    await expectNothingLeft();
  });

  const fine = { timeoutMs: 60_000, everyMs: 5 };

  function startDemo(...flags: string[]): StartedProcess {
    const options = { netns: engine.netns, env: environment(), name: "demo" };
    return startProcess(berth("demo", "--yes", ...flags), options);
  }

  function environment(): Record<string, string> {
    return { DOCKER_HOST: `unix://${engine.socketPath}`, TMPDIR: tmp.path, STATE_DIRECTORY: tmp.path };
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
