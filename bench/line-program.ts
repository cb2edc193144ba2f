import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { netnsPath } from "../test/testbed/process.ts";
import { pinned } from "./machine.ts";
import type { Placement } from "./program.ts";

/** A program of programs/ that is not Node's: it takes an order a line as JSON, and answers each with a line. */
export interface LineProgram {
  pid: number;
  /** Has it carry out one order; what it calls a fault is thrown here. */
  ask(order: string, argument: Record<string, unknown>): Promise<unknown>;
  stop(): Promise<void>;
}

interface LineReply {
  result?: unknown;
  fault?: string;
}

/** Starts `programs/<file>` by `command`. It ends with us, however we end: its input then does. */
export function startLineProgram(command: string, file: string, { netns, core }: Placement): LineProgram {
  const entered = netns === undefined ? [] : ["nsenter", `--net=${netnsPath(netns)}`];
  const [first = command, ...rest] = [
    ...entered,
    ...pinned(core),
    command,
    join(import.meta.dirname, "programs", file),
  ];
  const child = spawn(first, rest, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const replies = repliesOf(child, file);
  return {
    pid: child.pid ?? 0,
    async ask(order, argument) {
      child.stdin?.write(`${JSON.stringify({ order, argument })}\n`);
      const { result, fault } = await replies();
      if (fault !== undefined) throw new Error(`${file}: ${fault}`);
      return result;
    },
    async stop() {
      child.kill("SIGKILL");
      await gone;
    },
  };
}

/** One at a time: no order is given before the one before is answered. */
function repliesOf({ stdout, stdin }: ChildProcess, file: string): () => Promise<LineReply> {
  if (stdout === null || stdin === null) throw new Error(`${file} has no pipes`);
  // Told by the end of its output.
  stdin.on("error", () => undefined);
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${file} has ended`);
    return JSON.parse(value) as LineReply;
  };
}
