import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";

/**
 * Removes all that an engine working under `dir` can leave behind, also after a kill -9: containerd, shims,
 * container processes, mounts, cgroups, sockets and the directory. Synchronous: it is also the last act of the janitor.
 */
export function removeEngineTraces(dir: string): void {
  const containerIds = list(join(dir, "data", "containers"));
  killProcesses(dir, containerIds);
  for (const mountPoint of mountsBelow(dir)) spawnSync("umount", ["-l", mountPoint]);
  for (const id of containerIds) {
    removeCgroups(id);
    rmSync(shimSocket(dir, id), { force: true });
  }
  rmSync(dir, { recursive: true, force: true });
}

/** What is mounted below `dir`, the deepest first. */
export function mountsBelow(dir: string): string[] {
  const mountPoints = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  return mountPoints
    .filter((mountPoint) => mountPoint.startsWith(`${dir}/`))
    .sort()
    .reverse();
}

/** Pids of the engine under `dir` and of its containers' processes. */
export function engineProcesses(dir: string, containerIds: string[] = []): number[] {
  const pids = list("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => isDaemonOf(dir, pid) || isInContainer(containerIds, pid)).map(Number);
}

const daemons = new Set(["dockerd", "containerd", "containerd-shim-runc-v2", "containerd-shim", "runc"]);

// By program and argument: a test's `tail -f DIR/log`, or an agent given our socket, also names `dir`.
function isDaemonOf(dir: string, pid: string): boolean {
  const [program = "", ...args] = read(`/proc/${pid}/cmdline`).split("\0");
  return daemons.has(basename(program)) && args.some((arg) => arg.includes(`${dir}/`));
}

// By cgroup, not by parent: when a shim was killed first, its container belongs to PID 1 and names nothing of ours.
function isInContainer(containerIds: string[], pid: string): boolean {
  const cgroups = read(`/proc/${pid}/cgroup`);
  return containerIds.some((id) => cgroups.includes(id)) && !isZombie(pid);
}

function isZombie(pid: string): boolean {
  return /\) Z /.test(read(`/proc/${pid}/stat`));
}

// Repeated, because a daemon starts others while we kill; over when a look finds none.
function killProcesses(dir: string, containerIds: string[]): void {
  for (let round = 0; round < 100; round++) {
    const pids = engineProcesses(dir, containerIds);
    if (pids.length === 0) return;
    for (const pid of pids) kill(pid);
    pause(20);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended between the look and the kill.
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function removeCgroups(containerId: string): void {
  const root = "/sys/fs/cgroup";
  for (const hierarchy of ["", ...list(root)]) {
    const cgroup = join(root, hierarchy, "docker", containerId);
    try {
      if (existsSync(cgroup)) rmdirSync(cgroup);
    } catch {
      // The kernel still counts a dying process in it. An empty cgroup costs nothing and no name is used twice.
    }
  }
}

// containerd names a shim's socket after the hash of its own address, the namespace and the container; the
// directory is shared by all containerds of the machine, so only the exact name is ours to remove.
function shimSocket(dir: string, containerId: string): string {
  const address = `${dir}/x/containerd/containerd.sock/moby/${containerId}`;
  return join("/run/containerd/s", createHash("sha256").update(address).digest("hex"));
}

function list(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}

// Files in /proc vanish with their process.
function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
