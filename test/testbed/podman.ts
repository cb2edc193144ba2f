import { readFileSync, rmSync } from "node:fs";
import { EngineCli } from "./engine-cli.ts";
import { answersPing } from "./engine-ping.ts";
import { createNetns, type Netns, randomSuffix } from "./netns.ts";
import { childrenOf, PodmanRoom } from "./podman-room.ts";
import { mustRun } from "./process.ts";
import { assertCanRunPodman } from "./requirements.ts";
import type { StartedProcess } from "./started-process.ts";
import { until } from "./wait.ts";

export type PodmanOptions = {
  /** Its service and containers belong to a user without rights. */
  rootless?: boolean;
  /** Network namespace to run in. Without it Podman gets one of its own, see Podman.netns. */
  netns?: string;
};

/** Starts Podman's API service, sharing nothing with the machine's own Podman. */
export async function startPodman(options: PodmanOptions = {}): Promise<Podman> {
  assertCanRunPodman();
  const netns = options.netns ?? `berth-${randomSuffix()}`;
  const ownNetns = options.netns === undefined ? await createNetns(netns) : undefined;
  try {
    const podman = new Podman(await PodmanRoom.enter(netns, options.rootless ?? false), netns, ownNetns);
    await podman.restart();
    return podman;
  } catch (error) {
    await ownNetns?.remove();
    throw error;
  }
}

/**
 * A Podman whose API service runs. Containers do not need the service: they go on when it is killed. Health checks have no timer
 * here, because that is systemd's: each probe is a `podman("healthcheck", "run", …)`.
 */
export class Podman extends EngineCli {
  readonly netns: string;
  readonly #room: PodmanRoom;
  readonly #ownNetns: Netns | undefined;
  #service: StartedProcess | undefined;

  constructor(room: PodmanRoom, netns: string, ownNetns: Netns | undefined) {
    super(room.dir);
    this.netns = netns;
    this.#room = room;
    this.#ownNetns = ownNetns;
  }

  get pid(): number | undefined {
    return this.#service?.isRunning ? servicePid(this.#service.pid) : undefined;
  }

  /** The service's output since it was last started. */
  get log(): string {
    return this.#service?.lines.join("\n") ?? "";
  }

  /** Runs `podman ...args` through the service; its stdout, or an error with its stderr. */
  async podman(...args: string[]): Promise<string> {
    const url = `unix://${this.socketPath}`;
    return (
      await mustRun(["podman", "--remote", "--url", url, ...args], { env: { CONTAINERS_CONF: "" } })
    ).trimEnd();
  }

  /** Kills the service as a crash would, and leaves its socket file behind. Containers go on serving. */
  async kill9(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** The service hangs: connections are accepted, nothing answers. */
  freeze(): void {
    this.#signal("SIGSTOP");
  }

  thaw(): void {
    this.#signal("SIGCONT");
    // nsenter stops when its child does, and waits for a SIGCONT of its own.
    this.#service?.signal("SIGCONT");
  }

  /** Ends the service with the signal, unless it is dead already, and starts it on the same containers. */
  async restart({ signal = "SIGTERM" }: { signal?: NodeJS.Signals } = {}): Promise<void> {
    await this.#end(signal);
    // The service does not listen where a file lies.
    rmSync(this.socketPath, { force: true });
    const service = this.#room.start(["system", "service", "--time", "0", `unix://${this.socketPath}`]);
    this.#service = service;
    await until("Podman answers", () => !service.isRunning || answersPing(this.socketPath), {
      timeoutMs: 40_000,
    });
    if (!service.isRunning) throw new Error(`Podman ended at once:\n${service.tail()}`);
  }

  /** Ends the service and its containers and removes everything they made, whatever state they are in. */
  async stop(): Promise<void> {
    await this.#room.leave();
    await this.#service?.exited;
    await this.#ownNetns?.remove();
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.#service?.isRunning) return;
    this.thaw();
    this.#signal(signal);
    await until("Podman's service has ended", () => this.#service?.isRunning === false);
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this;
    if (pid !== undefined) process.kill(pid, signal);
  }
}

/** Below the nsenter that started it; a rootless one starts itself a second time in its user namespace. */
function servicePid(pid: number): number | undefined {
  const child = childrenOf(pid).find((candidate) =>
    readFileSync(`/proc/${candidate}/cmdline`, "utf8").includes("system\0service"),
  );
  return child === undefined ? undefined : (servicePid(child) ?? child);
}
