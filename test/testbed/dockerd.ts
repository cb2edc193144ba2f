import { rmSync } from "node:fs";
import { join } from "node:path";
import { answersPing } from "./engine-ping.ts";
import { startProcess } from "./process.ts";
import type { StartedProcess } from "./started-process.ts";
import { until } from "./wait.ts";

export type DockerdOptions = {
  dir: string;
  netns: string;
  /** 1 to 15: sets the address ranges of the engine's own networks, so that several hosts have different ones. */
  index: number;
  liveRestore: boolean;
  extraArgs: string[];
};

/** One dockerd on its own data root; it can be killed, frozen and started again on the same data. */
export class Dockerd {
  readonly socketPath: string;
  #options: DockerdOptions;
  #process: StartedProcess | undefined;

  constructor(options: DockerdOptions) {
    this.#options = options;
    this.socketPath = join(options.dir, "sock");
    // sun_path holds 108 bytes with the closing NUL; containerd's sockets lie deeper than ours.
    if (options.dir.length > 70) throw new Error(`${options.dir} is too long a path for an engine's sockets`);
    if (options.index < 1 || options.index > 15) throw new Error("an engine's index is between 1 and 15");
  }

  /** Starts dockerd and returns when its API answers. */
  async start(): Promise<void> {
    // dockerd refuses to start when a stale pidfile names a pid that lives again.
    rmSync(join(this.#options.dir, "pid"), { force: true });
    // containerd dies with dockerd. Where PID 1 is slow to reap, its zombie passes for a living containerd that
    // dockerd then waits for in vain, and gives up.
    rmSync(join(this.#options.dir, "x", "containerd", "containerd.pid"), { force: true });
    const { dir, netns } = this.#options;
    // TMPDIR: containerd dumps its stacks there when dockerd finds it slow.
    const started = startProcess(this.#argv(), { netns, env: { TMPDIR: dir }, name: `dockerd in ${netns}` });
    this.#process = started;
    // After a kill -9 it first kills the containers it lost: seen to take 12 s.
    await until("dockerd answers", () => !started.isRunning || answersPing(this.socketPath), {
      timeoutMs: 40_000,
    });
    if (!started.isRunning) throw new Error(`dockerd ended at once:\n${started.tail()}`);
  }

  async end(signal: NodeJS.Signals, graceMs = 40_000): Promise<void> {
    // A frozen process takes no signal but SIGKILL.
    this.signal("SIGCONT");
    await this.#process?.stop(signal, graceMs);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.signal(signal);
  }

  get pid(): number | undefined {
    return this.#process?.isRunning ? this.#process.pid : undefined;
  }

  get log(): string {
    return this.#process?.lines.join("\n") ?? "";
  }

  #argv(): string[] {
    const { dir, index, liveRestore, extraArgs } = this.#options;
    return [
      "dockerd",
      ...["--data-root", join(dir, "data"), "--exec-root", join(dir, "x"), "--pidfile", join(dir, "pid")],
      ...["--host", `unix://${this.socketPath}`, "--storage-driver", "overlay2"],
      ...["--bip", `172.30.${index}.1/24`],
      ...["--default-address-pool", `base=172.31.${index * 16}.0/20,size=24`],
      ...(liveRestore ? ["--live-restore"] : []),
      ...extraArgs,
    ];
  }
}
