import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";

import { mountsBelow } from "./mounts.ts";
import { statAfterName } from "./process-stat.ts";

const daemons = new Set(["dockerd", "containerd", "containerd-shim-runc-v2", "containerd-shim", "runc"]);

/**
 * Kills every process of the engine that works below `directory`: its daemons, and all that these started, containers among them. A daemon
 * that is killed leaves its shims behind, and a shim its container, so each is looked for; repeated, since one may start another meanwhile.
 */
export function killProcessesOf(directory: string): void {
  for (let round = 0; round < 100; round++) {
    const pids = processesOf(readProcesses(), directory);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
}

/** Where mounts are private, dockerd leaves its own bind mount of the data root behind. The deepest is unmounted first. */
export function unmountBelow(directory: string): void {
  for (const path of mountsBelow(directory).toReversed()) spawnSync("umount", ["-l", path]);
}

export interface ProcessEntry {
  pid: number;
  parent: number;
  argv: string[];
}

/** By program and argument: an editor that shows the engine's log names the directory as well. */
export function processesOf(all: ProcessEntry[], directory: string): number[] {
  const found = new Set<number>();
  const isDaemon = ({ argv: [program = "", ...args] }: ProcessEntry) =>
    daemons.has(basename(program)) && args.some((arg) => arg.includes(`${directory}/`));
  let added = all.filter(isDaemon);
  while (added.length > 0) {
    for (const { pid } of added) found.add(pid);
    added = all.filter(({ pid, parent }) => found.has(parent) && !found.has(pid));
  }
  return [...found];
}

function readProcesses(): ProcessEntry[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).flatMap((pid) => {
    const [state, parent] = statAfterName(pid) ?? [];
    const argv = argvOf(pid);
    return state === undefined || state === "Z" || argv === undefined
      ? []
      : [{ pid, parent: Number(parent), argv }];
  });
}

/** Undefined when it ended while we looked. */
function argvOf(pid: number): string[] | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    return undefined;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended between the look and the kill.
  }
}
