import { createNetns, randomSuffix } from "../test/testbed/netns.ts";
import { programPath } from "../test/testbed/requirements.ts";
import { makeTemporaryDir } from "../test/testbed/temporary-dir.ts";
import { resolverFiles, resolverUrl, startPart } from "./berth.ts";
import { separateCores } from "./machine.ts";
import { type Placement, type Program, startProgram } from "./program.ts";
import type { FleetOrders } from "./programs/fleet-load.ts";

/** Connections a fleet's requests share: one for every host would measure TLS. */
export const connections = 32;

/** A resolver with an empty registry, and the program that is its hosts; each on a core of its own where there are two. */
export interface Fleet {
  pid: number;
  load: Program<FleetOrders>;
  /** Where programs beside the hosts run. */
  beside: Placement;
  files: ReturnType<typeof resolverFiles>;
}

export function whyNoFleet(): string | undefined {
  if (process.getuid?.() !== 0) return "it needs root, for a network namespace of its own";
  return programPath("ip") === undefined ? "it needs ip, of iproute2" : undefined;
}

export async function startFleet(hosts: number, later: (undo: () => unknown) => void): Promise<Fleet> {
  const dir = makeTemporaryDir("berth-bench-");
  later(() => dir.remove());
  const netns = await createNetns(`berth-${randomSuffix()}`);
  later(() => netns.remove());
  const cores = separateCores();
  const place = { netns: netns.name, core: cores?.measured };
  const resolver = await startPart("resolver", { "state-dir": dir.path }, place);
  later(() => resolver.stop());
  const beside = { netns: netns.name, core: cores?.load };
  const load = startProgram<FleetOrders>("fleet-load.ts", beside);
  later(() => load.stop());
  const files = resolverFiles(dir.path);
  const target = { origin: resolverUrl, caFile: files.caFile, tokenFile: files.agentToken };
  await load.ask("make", { target, count: hosts });
  return { pid: resolver.pid, load, beside, files };
}
