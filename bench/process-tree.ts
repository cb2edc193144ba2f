import { readdirSync, readFileSync } from "node:fs";

/** User and system seconds of a process and all that descend from it, those included that have ended and were waited for. */
export function treeCpuSeconds(pid: number): number {
  // utime, stime, cutime, cstime (proc_pid_stat(5)), in hundredths: USER_HZ is 100 on every Linux Node runs on.
  return sum(treeOf(pid).flatMap((member) => statOf(member)?.slice(11, 15).map(Number) ?? [])) / 100;
}

/** What a process and all that descend from it have in memory, in MiB, shared pages divided by their users (PSS). */
export function treeMemory(pid: number): number {
  return sum(treeOf(pid).map(proportionalMemory));
}

function proportionalMemory(pid: number): number {
  const rollup = readProcess(pid, "smaps_rollup");
  return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) / 1024;
}

function treeOf(pid: number): number[] {
  const parents = readdirSync("/proc").flatMap((entry) => {
    const child = Number(entry);
    const parent = Number.isInteger(child) ? parentOf(child) : undefined;
    return parent === undefined ? [] : [{ child, parent }];
  });
  const tree = [pid];
  // It grows while it is gone through.
  for (const member of tree) {
    tree.push(...parents.filter(({ parent }) => parent === member).map(({ child }) => child));
  }
  return tree;
}

function parentOf(pid: number): number | undefined {
  const parent = statOf(pid)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

/** The fields behind the command's name, which may hold anything. Undefined for one that has just ended. */
function statOf(pid: number): string[] | undefined {
  const stat = readProcess(pid, "stat");
  return stat === "" ? undefined : stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

function readProcess(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
