import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { runCommand, startProcess } from "../test/testbed/process.ts";
import { programPath } from "../test/testbed/requirements.ts";
import type { StartedProcess } from "../test/testbed/started-process.ts";
import { pinned } from "./machine.ts";

/** SOCKS servers of other people, as Debian packages them. */

export interface Rival {
  name: "microsocks" | "dante";
  port: number;
  started: StartedProcess;
}

interface RivalPlace {
  netns: string;
  core: number | undefined;
  dir: string;
}

const programs = { microsocks: "microsocks", dante: "danted" } as const;
const packages = { microsocks: "microsocks", dante: "dante-server" } as const;
const ports = { microsocks: 1082, dante: 1083 } as const;
const startMs = 10_000;

/** Those that are installed, and of the others why their rows are missing. */
export async function startRivals(place: RivalPlace): Promise<{ rivals: Rival[]; missing: string[] }> {
  const names = ["microsocks", "dante"] as const;
  const installed = names.filter((name) => programPath(programs[name]) !== undefined);
  const missing = names
    .filter((name) => !installed.includes(name))
    .map(
      (name) => `no rows of ${name}: ${programs[name]} is not installed (apt-get install ${packages[name]})`,
    );
  const rivals = await Promise.all(installed.map((name) => startRival(name, place)));
  return { rivals, missing };
}

async function startRival(name: Rival["name"], { netns, core, dir }: RivalPlace): Promise<Rival> {
  const port = ports[name];
  const argv = name === "microsocks" ? microsocks(port) : dante(port, dir);
  const started = startProcess([...pinned(core), ...argv], { netns, name });
  await untilListening(port, netns, name);
  return { name, port, started };
}

function microsocks(port: number): string[] {
  return [programs.microsocks, "-i", "127.0.0.1", "-p", String(port)];
}

/** One process for the relaying of all connections, as the others have. */
function dante(port: number, dir: string): string[] {
  const file = join(dir, "danted.conf");
  const lines = [
    "logoutput: /dev/null",
    `internal: 127.0.0.1 port = ${port}`,
    "external: 127.0.0.1",
    "socksmethod: none",
    "clientmethod: none",
    "client pass { from: 0/0 to: 0/0 }",
    "socks pass { from: 0/0 to: 0/0 }",
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return [programs.dante, "-f", file, "-N", "1"];
}

async function untilListening(port: number, netns: string, name: string): Promise<void> {
  for (let waited = 0; waited < startMs; waited += 100) {
    const { stdout } = await runCommand(["ss", "-Hltn", `sport = :${port}`], { netns });
    if (stdout.trim() !== "") return;
    await sleep(100);
  }
  throw new Error(`${name} does not listen at port ${port}`);
}
