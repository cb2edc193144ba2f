import { readFileSync } from "node:fs";

/**
 * proc_pid_stat(5) from its third field on: state, parent pid, ... Undefined when there is no such process. The second field is the
 * program's name in parentheses, which may hold anything, so the others count from the last of these.
 */
export function statAfterName(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}
