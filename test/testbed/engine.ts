import { mkdirSync, mkdtempSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Dockerd } from "./dockerd.ts";
import { engineProcesses, mountsBelow, removeEngineTraces } from "./engine-traces.ts";
import { leaveToJanitor } from "./janitor.ts";
import { createNetns, type Netns, randomSuffix } from "./netns.ts";
import { type CommandOptions, mustRun } from "./process.ts";
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

export type ContainerOptions = {
  /** Two characters or more: Docker refuses shorter ones. */
  name: string;
  image?: string;
  /** As after `docker run -p`: "80", "8080:80", "127.0.0.1::80", "53/udp". */
  publish?: string[];
  labels?: Record<string, string>;
  env?: Record<string, string>;
  network?: string;
  restart?: string;
  command?: string[];
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
export class Engine {
  readonly dir: string;
  readonly netns: string;
  readonly socketPath: string;
  #dockerd: Dockerd;
  #ownNetns: Netns | undefined;
  #forget: () => void;

  constructor(dockerd: Dockerd, dir: string, netns: string, ownNetns: Netns | undefined) {
    this.dir = dir;
    this.netns = netns;
    this.socketPath = dockerd.socketPath;
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

  /** Runs `docker ...args` on this engine; its stdout, or an error with its stderr. */
  async docker(...args: string[]): Promise<string> {
    return (await this.#run(args)).trimEnd();
  }

  /** `docker run -d`; returns the container's full id. */
  async runContainer(options: ContainerOptions): Promise<string> {
    const { name, image = "berth-sample", publish = [], labels = {}, env = {}, network, restart } = options;
    return this.docker(
      ...["run", "--detach", "--name", name],
      ...publish.flatMap((port) => ["--publish", port]),
      ...Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
      ...Object.entries(env).flatMap(([key, value]) => ["--env", `${key}=${value}`]),
      ...(network ? ["--network", network] : []),
      ...(restart ? ["--restart", restart] : []),
      image,
      ...(options.command ?? []),
    );
  }

  /** The host port that leads to `containerPort` ("80/tcp") now: it changes with every start of the container. */
  async publishedPort(container: string, containerPort: string, family: 4 | 6 = 4): Promise<number> {
    const [inspected] = JSON.parse(await this.docker("inspect", container)) as Inspected[];
    // An exited container can still list its old ports, by then another container's.
    const ports = inspected?.State.Running ? inspected.NetworkSettings.Ports : {};
    const entries = ports[containerPort] ?? [];
    const entry = entries.find(({ HostIp }) => HostIp.includes(":") === (family === 6));
    if (!entry)
      throw new Error(`${container}: no ${containerPort} on IPv${family} in ${JSON.stringify(ports)}`);
    return Number(entry.HostPort);
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
    this.thaw();
    if (this.pid !== undefined) await this.#removeContainers();
    await this.#dockerd.end("SIGTERM", 15_000);
    removeEngineTraces(this.dir);
    this.#forget();
    await this.#ownNetns?.remove();
  }

  /** What is on the machine because of this engine; empty after stop(). */
  traces(): string[] {
    return [...mountsBelow(this.dir), ...engineProcesses(this.dir).map((pid) => `process ${pid}`)];
  }

  // Before dockerd ends: at its own end it would stop them politely, 10 s for each that ignores SIGTERM.
  async #removeContainers(): Promise<void> {
    try {
      const ids = await this.#run(["ps", "--all", "--quiet"], { timeoutMs: 5000 });
      if (ids.trim()) await this.#run(["rm", "--force", ...ids.trim().split("\n")], { timeoutMs: 20_000 });
    } catch {
      // An engine too broken to do that is killed next, and its containers with it.
    }
  }

  #run(args: string[], options: CommandOptions = {}): Promise<string> {
    // The developer's own contexts, plugins and credential programs stay out of it.
    const env = { DOCKER_CONFIG: join(this.dir, "cli"), DOCKER_HOST: "", DOCKER_CONTEXT: "" };
    return mustRun(["docker", "--host", `unix://${this.socketPath}`, ...args], { env, ...options });
  }
}

type Inspected = {
  State: { Running: boolean };
  NetworkSettings: { Ports: Record<string, { HostIp: string; HostPort: string }[] | null> };
};
