import { readlinkSync } from "node:fs";

import { statAfterName } from "./process-stat.ts";

/**
 * Names this process for good: its pid and when it started, because pids come again, and the pid namespace they count in. What a demo makes
 * on an engine carries it, so that a later demo can tell what nobody will remove any more.
 */
export function ownRunId(): string {
  return `${process.pid}-${startOf(process.pid)}-${pidNamespace()}`;
}

/** Whether `runId` is of a process that has ended; false for what is no run id, and for one of another pid namespace, which we cannot see. */
export function isEnded(runId: string): boolean {
  const [, pid = "", start, namespace] = /^(\d+)-(\d+)-(\d+)$/.exec(runId) ?? [];
  return pid !== "" && namespace === pidNamespace() && startOf(Number(pid)) !== start;
}

/** Field 22 of proc_pid_stat(5), in ticks since the machine's start. Undefined when there is no such process. */
function startOf(pid: number): string | undefined {
  return statAfterName(pid)?.[22 - 3];
}

function pidNamespace(): string {
  return readlinkSync("/proc/self/ns/pid").replace(/\D/g, "");
}
