// Started by janitor.ts. Reads what its parent made and removed; at the end of input it removes the rest.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { removeEngineTraces } from "./engine-traces.ts";
import type { Leftover } from "./janitor.ts";
import { removePodmanTraces } from "./podman-traces.ts";

const leftovers = new Map<string, Leftover>();

for await (const line of createInterface({ input: process.stdin })) {
  const { verb, kind, id } = JSON.parse(line) as Leftover & { verb: "add" | "forget" };
  if (verb === "add") leftovers.set(`${kind} ${id}`, { kind, id });
  else leftovers.delete(`${kind} ${id}`);
}

// Last made, first removed: an engine goes before the network namespace it lives in.
for (const leftover of [...leftovers.values()].reverse()) {
  try {
    remove(leftover);
  } catch {
    // Gone already, or not removable: the others still are.
  }
}

function remove({ kind, id }: Leftover): void {
  if (kind === "engine") removeEngineTraces(id);
  else if (kind === "podman") removePodmanTraces(id);
  else if (kind === "netns") spawnSync("ip", ["netns", "del", id]);
  else if (kind === "dir") rmSync(id, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  else process.kill(-Number(id), "SIGKILL");
}
