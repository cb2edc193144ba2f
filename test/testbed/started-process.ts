import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { leaveToJanitor } from "./janitor.ts";

export type Exit = { code: number | null; signal: NodeJS.Signals | null };

const running = new Set<StartedProcess>();

/** Stops every process that startProcess started and nobody stopped, all at the same time. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((started) => started.stop()));
}

/** A process of ours: what it printed, and how to end it. Signals go to its pid, never to a name. */
export class StartedProcess {
  readonly pid: number;
  readonly name: string;
  /** Every line so far, stdout and stderr as they came. */
  readonly lines: string[] = [];
  /** Settles when the process itself is gone, though a child of it may still hold the output open. */
  readonly exited: Promise<Exit>;
  readonly outputClosed: Promise<void>;
  #waiting = new Set<() => void>();
  #child: ChildProcess;

  constructor(child: ChildProcess, name: string) {
    if (child.pid === undefined) throw new Error(`${name} was not started`);
    this.pid = child.pid;
    this.name = name;
    this.#child = child;
    this.#readLines();
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    this.outputClosed = new Promise((resolve) => {
      child.once("close", () => resolve());
    });
    this.#register();
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The first line that matches, printed already or yet to come; throws with the last lines when it does not. */
  async waitForLine(pattern: RegExp, timeoutMs = 10_000): Promise<string> {
    let closed = false;
    let seen = 0;
    const deadline = Date.now() + timeoutMs;
    this.outputClosed.then(() => {
      closed = true;
      this.#wake();
    });
    for (;;) {
      const found = this.lines.slice(seen).find((line) => pattern.test(line));
      if (found !== undefined) return found;
      seen = this.lines.length;
      const left = deadline - Date.now();
      if (closed || left <= 0) throw new Error(`${this.name} never printed ${pattern}:\n${this.tail()}`);
      await this.#nextLine(left);
    }
  }

  tail(count = 15): string {
    return this.lines.slice(-count).join("\n");
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) process.kill(this.pid, signal);
  }

  /** Asks with `signal` first; a process still there after `graceMs` is killed. */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 10_000): Promise<Exit> {
    this.signal(signal);
    const cancel = new AbortController();
    const grace = sleep(graceMs, undefined, { signal: cancel.signal }).then(
      () => this.killGroup(),
      () => {},
    );
    const exit = await this.exited;
    cancel.abort();
    await grace;
    return exit;
  }

  /** `kill -9`, and gone on return. */
  async kill9(): Promise<Exit> {
    this.signal("SIGKILL");
    return this.exited;
  }

  /** Kills it with its children. The group is ours alone: it was made when the process started. */
  killGroup(): void {
    if (this.isRunning) process.kill(-this.pid, "SIGKILL");
  }

  #readLines(): void {
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (!stream) continue;
      stream.setEncoding("utf8");
      createInterface({ input: stream }).on("line", (line) => {
        this.lines.push(line);
        this.#wake();
      });
    }
  }

  #register(): void {
    running.add(this);
    const forget = leaveToJanitor({ kind: "group", id: `${this.pid}` });
    this.#child.once("exit", () => {
      running.delete(this);
      forget();
    });
  }

  #wake(): void {
    for (const resume of [...this.#waiting]) resume();
  }

  #nextLine(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const resume = () => {
        clearTimeout(timer);
        this.#waiting.delete(resume);
        resolve();
      };
      const timer = setTimeout(resume, timeoutMs);
      this.#waiting.add(resume);
    });
  }
}
