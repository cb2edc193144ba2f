import { join } from "node:path";

import { startProcess } from "../test/testbed/process.ts";
import type { StartedProcess } from "../test/testbed/started-process.ts";
import { pinned } from "./machine.ts";
import type { Placement } from "./program.ts";

const cli = join(import.meta.dirname, "..", "cli", "main.ts");

/** Flags of Node that the launcher gives berth: what is measured has to be what people run. */
export const launcherFlags = ["--max-semi-space-size=8"];

const fromSource = [process.execPath, "--disable-warning=ExperimentalWarning", ...launcherFlags, cli];

/** What each part logs when it can be used. */
const ready = {
  resolver: /answers for/,
  agent: /advertises/,
  proxy: /SOCKS5 at/,
};

/** Where the resolver of every bench listens; the network namespace is the bench's own. */
export const resolverUrl = "https://127.0.0.1:8053";

/** One part of berth as its users run it, as a process of its own; resolves when it is ready. `program`: the words before its name. */
export async function startPart(
  part: keyof typeof ready,
  flags: Record<string, string>,
  { netns, core }: Placement = {},
  program: readonly string[] = fromSource,
): Promise<StartedProcess> {
  const given = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  const started = startProcess([...pinned(core), ...program, part, ...given], {
    netns,
    name: `berth ${part}`,
  });
  await started.waitForLine(ready[part], 30_000);
  return started;
}

/** Files of a resolver's state directory that others are given. */
export function resolverFiles(stateDir: string) {
  return {
    database: join(stateDir, "registry.db"),
    caFile: join(stateDir, "tls", "ca.pem"),
    certificateAndKey: join(stateDir, "tls", "leaf.pem"),
    agentToken: join(stateDir, "agent.token"),
    readerToken: join(stateDir, "reader.token"),
  };
}
