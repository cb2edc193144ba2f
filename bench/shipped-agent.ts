import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";

import { bundlePrograms } from "../packaging/bundle.ts";
import { agentEnvironment, programs } from "../packaging/tree.ts";

/** Makes the agent as the Debian package has it, in `dir`: the words that run it. */
export async function buildAgent(dir: string): Promise<string[]> {
  const installed = programs.agent.at(-1) ?? "";
  await bundlePrograms(join(dir, "bin"));
  // It looks for its version there.
  writeFileSync(join(dir, "package.json"), JSON.stringify({ version: "0.0.0", type: "module" }));
  const environment = Object.entries(agentEnvironment).map(([name, value]) => `${name}=${value}`);
  const node = ["env", ...environment, process.execPath];
  return [...node, ...programs.agent.slice(0, -1), join(dir, "bin", basename(installed))];
}
