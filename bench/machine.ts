import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import { programPath } from "../test/testbed/requirements.ts";

/** What figures depend on, and nothing that names the machine or its user. */
export interface MachineFacts {
  date: string;
  cores: number;
  cpu: string;
  memoryGiB: number;
  node: string;
  /** Over 1, 5 and 15 minutes, before the first bench. */
  loadAverage: string;
}

export function machineFacts(): MachineFacts {
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    cores: availableParallelism(),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    loadAverage: loadavg()
      .map((load) => load.toFixed(2))
      .join(" "),
  };
}

/** Cores for what is measured and for what measures it; undefined where they cannot be told apart. */
export function separateCores(): { measured: number; load: number } | undefined {
  if (availableParallelism() < 2 || programPath("taskset") === undefined) return undefined;
  return { measured: 0, load: 1 };
}

/** Words before a command that keep it on one core. */
export function pinned(core: number | undefined): string[] {
  return core === undefined ? [] : ["taskset", "--cpu-list", String(core)];
}

/** User and system seconds a process has used. /proc counts in hundredths (USER_HZ is 100 on every Linux Node runs on). */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The command's name stands in brackets and may hold anything; what follows it is numbers.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** What a process used of one core while `work` went on, second by second: 1 is the whole core. */
export async function coreShares(pid: number, work: Promise<unknown>): Promise<number[]> {
  const shares: number[] = [];
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  // Told to whoever awaits the work itself.
  over.catch(() => undefined);
  let [since, used] = [performance.now(), cpuSeconds(pid)];
  while (!isOver) {
    await sleep(1000);
    const [now, usedNow] = [performance.now(), cpuSeconds(pid)];
    // The last second may be one in which there was little left to do.
    if (!isOver) shares.push(((usedNow - used) * 1000) / (now - since));
    [since, used] = [now, usedNow];
  }
  await over;
  return shares;
}

/** The most memory a process has had resident so far, in MiB. */
export function peakMemory(pid: number): number {
  return memory(pid, "VmHWM");
}

/** What a process has resident now, in MiB, pages of its files included. */
export function residentMemory(pid: number): number {
  return memory(pid, "VmRSS");
}

function memory(pid: number, field: "VmHWM" | "VmRSS"): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m");
  return Number(line.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** Of all cores' time in the next half second, the share that was not idle while we did nothing: other programs, and the hypervisor's steal. */
export async function shareUsedByOthers(): Promise<number> {
  const before = coreTimes();
  await sleep(500);
  const after = coreTimes();
  return 1 - (after.idle - before.idle) / (after.all - before.all);
}

function coreTimes(): { idle: number; all: number } {
  const [first = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  // user nice system idle iowait irq softirq steal; guest time is counted in user already.
  const times = first.split(/\s+/).slice(1, 9).map(Number);
  const sum = times.reduce((total, time) => total + time, 0);
  return { idle: (times[3] ?? 0) + (times[4] ?? 0), all: sum };
}
