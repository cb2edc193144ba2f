import { mkdirSync, mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Dockerd } from "./dockerd.ts";
import { EngineCli } from "./engine-cli.ts";
import { engineProcesses, mountsBelow, removeEngineTraces } from "./engine-traces.ts";
import { leaveToJanitor } from "./janitor.ts";
import { createNetns, type Netns, randomSuffix } from "./netns.ts";
import { assertCanRunEngines } from "./requirements.ts";

export type EngineOptions = {
  /** Where the engine keeps everything; removed by stop(). A new directory under the system's temporary one. */
  dir?: string | undefined;
  /** Network namespace to run in. Without it the engine gets one of its own, see Engine.netns. */
  netns?: string | undefined;
  index?: number | undefined;
  liveRestore?: boolean | undefined;
  extraArgs?: string[] | undefined;
};

/**
 * Starts a Docker engine that shares nothing with the machine's own one: private socket, data and network
 * namespace. The namespace is private too because a second `docker0` beside the developer's would take its routes.
 */
export async function startEngine(options: EngineOptions = {}): Promise<Engine> {
  assertCanRunEngines();
  const { netns = `berth-${randomSuffix()}`, index = 1, liveRestore = false, extraArgs = [] } = options;
  const dir = options.dir ?? mkdtempSync(join(realpathSync(tmpdir()), "berth-e-"));
  mkdirSync(dir, { recursive: true });
  const dockerd = new Dockerd({ dir, netns, index, liveRestore, extraArgs });
  const ownNetns = options.netns === undefined ? await createNetns(netns) : undefined;
  const engine = new Engine(dockerd, dir, netns, ownNetns);
  try {
    await dockerd.start();
  } catch (error) {
    await engine.stop();
    throw error;
  }
  return engine;
}

/** A running engine. Only its own CLI calls and signals reach it; the machine's engine is never asked. */
export class Engine extends EngineCli {
  readonly netns: string;
  #dockerd: Dockerd;
  #ownNetns: Netns | undefined;
  #forget: () => void;

  constructor(dockerd: Dockerd, dir: string, netns: string, ownNetns: Netns | undefined) {
    super(dir);
    this.netns = netns;
    this.#dockerd = dockerd;
    this.#ownNetns = ownNetns;
    this.#forget = leaveToJanitor({ kind: "engine", id: dir });
  }

  get pid(): number | undefined {
    return this.#dockerd.pid;
  }

  /** dockerd's output since it was last started. */
  get log(): string {
    return this.#dockerd.log;
  }

  /** Kills dockerd as a crash would. Containers go on serving other hosts until restart(). */
  async kill9(): Promise<void> {
    await this.#dockerd.end("SIGKILL");
  }

  /** dockerd hangs: connections are accepted, nothing answers. */
  freeze(): void {
    this.#dockerd.signal("SIGSTOP");
  }

  thaw(): void {
    this.#dockerd.signal("SIGCONT");
  }

  /** Ends dockerd with the signal, unless it is dead already, and starts it on the same data. */
  async restart({ signal = "SIGTERM" }: { signal?: NodeJS.Signals } = {}): Promise<void> {
    await this.#dockerd.end(signal);
    await this.#dockerd.start();
  }

  /** Ends the engine and removes everything it made, whatever state it is in. */
  async stop(): Promise<void> {
    await this.removeContainers();
    await this.#dockerd.end("SIGTERM", 15_000);
    removeEngineTraces(this.dir);
    this.#forget();
    await this.#ownNetns?.remove();
  }

  /** Before dockerd ends: at its own end it would stop them politely, 10 s for one that ignores SIGTERM. */
  async removeContainers(): Promise<void> {
    this.thaw();
    if (this.pid === undefined) return;
    try {
      const ids = await this.run(["ps", "--all", "--quiet"], { timeoutMs: 5000 });
      if (ids.trim()) await this.run(["rm", "--force", ...ids.trim().split("\n")], { timeoutMs: 20_000 });
    } catch {
      // An engine too broken to do that is killed next, and its containers with it.
    }
  }

  /** What is on the machine because of this engine; empty after stop(). */
  traces(): string[] {
    return [...mountsBelow(this.dir), ...engineProcesses(this.dir).map((pid) => `process ${pid}`)];
  }
}
