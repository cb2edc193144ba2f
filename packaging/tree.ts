import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { type Bundled, bundlePrograms } from "./bundle.ts";
import { nodeBinary, root, versionOf } from "./source.ts";

/** berth's own directory on a machine it is installed on. */
export const libraryDir = "usr/lib/berth";

/**
 * How Node runs a program of the bundle. V8 may keep three times 32 MiB for new objects and does so when it is busy: most of the memory a
 * resolver takes, and no faster. The agent is on every host and has little to do, so it makes few new objects at a time, and compiles
 * nothing to machine code: the compilers alone take 9 MiB.
 */
export const programs = {
  agent: [
    ...["--max-semi-space-size=1", "--no-opt", "--no-maglev", "--no-sparkplug", "--expose-gc"],
    `/${libraryDir}/bin/agent.cjs`,
  ],
  berth: ["--max-semi-space-size=8", `/${libraryDir}/bin/berth.js`],
};

/**
 * Has the C library give memory back. Each of its arenas keeps what was freed in it for itself; and for every piece from 128 KiB on that is
 * freed it raises the size from which pieces are apart and go back at once, unless that is set: here to those 128 KiB, which is 2 MiB less
 * with 200 containers. Less would cost the relays, whose reads take 64 KiB each, half their speed.
 */
export const agentEnvironment = { MALLOC_ARENA_MAX: "1", MALLOC_MMAP_THRESHOLD_: "131072" };

const assignments = Object.entries(agentEnvironment).map(([name, value]) => `${name}=${value}`);

const start = `#!/bin/sh
if [ "$1" = agent ]; then
  export ${assignments.join(" ")}
  set -- ${programs.agent.join(" ")} "$@"
else
  set -- ${programs.berth.join(" ")} "$@"
fi
exec /${libraryDir}/node "$@"
`;

/** Lays out the program below `directory`: Node, the bundle, /usr/bin/berth, and everybody's licences. */
export async function layOutProgram(directory: string, version: string): Promise<void> {
  const library = join(directory, libraryDir);
  // One below, because the program looks for its version beside the directory it lies in, as in the repository.
  const bundled = await bundlePrograms(join(library, "bin"));
  putFile(join(library, "package.json"), `${JSON.stringify({ name: "berth", version, type: "module" })}\n`);
  copyFileSync(nodeBinary, join(library, "node"));
  chmodSync(join(library, "node"), 0o755);
  putFile(join(directory, "usr/bin/berth"), start, 0o755);
  putFile(join(directory, "usr/share/doc/berth/copyright"), copyright(bundled));
}

/** Writes a file with exactly this mode, and the directories above it. */
export function putFile(path: string, text: string, mode = 0o644): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  chmodSync(path, mode);
}

function copyright(bundled: readonly Bundled[]): string {
  const rule = `\n\n${"-".repeat(72)}\n`;
  const own = readFileSync(join(root, "LICENSE"), "utf8").trim();
  const node = `Node.js ${versionOf("node")}, in ${libraryDir}/node, with licences of its own: node --print process.release says where its source is, and LICENSE lies beside it`;
  const others = bundled.map(({ name, version, license }) => `${name} ${version}\n\n${license}`);
  return `${[`berth\n\n${own}`, node, ...others].join(rule)}\n`;
}
