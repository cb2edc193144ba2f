import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type CommandResult, type LaunchOptions, runCommand, startProcess } from "../testbed/process.ts";
import type { Exit, StartedProcess } from "../testbed/started-process.ts";

export const root = fileURLToPath(new URL("../..", import.meta.url));
export const node = join(root, "node_modules", ".bin", "node");

/** `berth ...args` as the launcher starts it. */
export function berth(...args: string[]): string[] {
  return [node, "--disable-warning=ExperimentalWarning", join(root, "cli", "main.ts"), ...args];
}

/** Runs a berth command to its end. */
export async function runBerth(args: string[], options: LaunchOptions & { timeoutMs?: number } = {}) {
  const result: CommandResult = await runCommand(berth(...args), options);
  return result;
}

export type PartOptions = LaunchOptions & {
  name: string;
  argv: string[];
  /** Printed once the part does its work. */
  ready: RegExp;
};

/** One process of the system under test, which can end and be started again with the same flags. */
export class Part {
  readonly #options: PartOptions;
  #process: StartedProcess | undefined;

  constructor(options: PartOptions) {
    this.#options = options;
  }

  static async start(options: PartOptions): Promise<Part> {
    const part = new Part(options);
    await part.start();
    return part;
  }

  get process(): StartedProcess {
    if (this.#process === undefined) throw new Error(`${this.#options.name} was never started`);
    return this.#process;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning ?? false;
  }

  async start(): Promise<void> {
    const { argv, ready, ...options } = this.#options;
    this.#process = startProcess(argv, options);
    await this.#process.waitForLine(ready, 60_000);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    return this.process.stop(signal);
  }

  async kill9(): Promise<Exit> {
    return this.process.kill9();
  }
}
