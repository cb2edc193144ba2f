import { readdirSync, readlinkSync, statSync } from "node:fs";

import { netnsPath } from "../testbed/process.ts";

/** The pids of all processes in a network namespace. */
export function processesIn(netns: string): string[] {
  const own = `net:[${statSync(netnsPath(netns)).ino}]`;
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name) && netnsOf(name) === own);
}

/** Undefined for a process that has just ended. */
function netnsOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return undefined;
  }
}
