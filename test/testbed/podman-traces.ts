import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Removes what a Podman whose processes are dead left of itself: its directory, and its containers' empty cgroups. */
export function removePodmanTraces(dir: string): void {
  for (let round = 0; round < 50 && cgroupsOf(dir).length > 0; round++) {
    for (const cgroup of cgroupsOf(dir)) remove(cgroup);
    // The kernel still counts processes that were killed just now.
    if (cgroupsOf(dir).length > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  // Shared by all Podmans of the machine: they go with the last container.
  for (const parent of parents()) for (const cgroup of [join(parent, "conmon"), parent]) remove(cgroup);
  rmSync(dir, { recursive: true, force: true });
}

/** The cgroups of the containers whose storage is below `dir`. */
export function cgroupsOf(dir: string): string[] {
  const ids = list(join(dir, "root", "overlay-containers")).filter((name) => /^[0-9a-f]{64}$/.test(name));
  const all = parents().flatMap((parent) => ids.map((id) => join(parent, `libpod-${id}`)));
  return all.filter((cgroup) => existsSync(cgroup));
}

function parents(): string[] {
  const root = "/sys/fs/cgroup";
  return ["", ...list(root)].map((hierarchy) => join(root, hierarchy, "libpod_parent"));
}

function remove(cgroup: string): void {
  try {
    if (existsSync(cgroup)) rmdirSync(cgroup);
  } catch {
    // Something is in it still.
  }
}

function list(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}
