import { fork } from "node:child_process";
import { join } from "node:path";

import { netnsPath } from "../test/testbed/process.ts";
import { pinned } from "./machine.ts";
import type { OrderReply, Orders } from "./programs/orders.ts";

export interface Placement {
  netns?: string | undefined;
  core?: number | undefined;
  /** Flags of Node itself. */
  flags?: string[];
}

/** A program of programs/, running as a process of its own. */
export interface Program<O extends Orders> {
  pid: number;
  /** Has it carry out one order; what it throws is thrown here. */
  ask<K extends keyof O & string>(
    order: K,
    ...argument: Parameters<O[K]>
  ): Promise<Awaited<ReturnType<O[K]>>>;
  stop(): Promise<void>;
}

/** No single order of any bench comes near it: a program that hangs must not hang the run. */
const orderLimitMs = 240_000;

/** Starts `programs/<file>`. It ends with us, however we end: its channel to us then closes. */
export function startProgram<O extends Orders>(file: string, place: Placement = {}): Program<O> {
  const { netns, core, flags = [] } = place;
  // Both replace themselves by Node, so the pid is the program's own.
  const [command = process.execPath, ...before] = [
    ...(netns === undefined ? [] : ["nsenter", `--net=${netnsPath(netns)}`]),
    ...pinned(core),
    process.execPath,
    ...flags,
  ];
  const child = fork(join(import.meta.dirname, "programs", file), [], {
    execPath: command,
    execArgv: before,
    // A process group of its own: Ctrl-C reaches the run alone, which ends its programs in order.
    detached: true,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    serialization: "advanced",
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  child.on("message", ({ id, result, fault }: OrderReply) => {
    if (fault === undefined) waiting.get(id)?.resolve(result);
    else waiting.get(id)?.reject(new Error(`${file}: ${fault}`));
    waiting.delete(id);
  });
  const gone = new Promise<void>((resolve) => {
    const fail = (reason: string): void => {
      for (const { reject } of waiting.values()) reject(new Error(`${file} ${reason}`));
      waiting.clear();
      resolve();
    };
    child.once("error", (fault) => fail(`could not be started: ${fault.message}`));
    child.once("exit", (code, signal) => fail(`ended with ${signal ?? code}`));
  });
  let lastId = 0;
  async function ask<K extends keyof O & string>(
    order: K,
    ...argument: Parameters<O[K]>
  ): Promise<Awaited<ReturnType<O[K]>>> {
    const id = ++lastId;
    const reply = Promise.withResolvers<unknown>();
    waiting.set(id, reply);
    const limit = setTimeout(() => reply.reject(new Error(`${file}: no end of "${order}"`)), orderLimitMs);
    try {
      child.send({ id, order, argument: argument[0] });
      return (await reply.promise) as Awaited<ReturnType<O[K]>>;
    } finally {
      clearTimeout(limit);
    }
  }
  return {
    pid: child.pid ?? 0,
    ask,
    async stop() {
      child.kill("SIGKILL");
      await gone;
    },
  };
}
