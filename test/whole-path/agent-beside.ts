import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { agentOptions } from "../../agent/config.ts";
import type { EngineLimits } from "../../agent/engine/docker-engine.ts";
import { type RunningAgent, startAgent } from "../../agent/main.ts";
import { readConfig } from "../../shared/config.ts";
import { createLog } from "../../shared/log.ts";
import type { PushRecorder } from "./push-recorder.ts";

export type BesideOptions = {
  /** As `--engine` takes them. */
  engines: string[];
  resolver: PushRecorder;
  /** Where its key and its token lie. The same directory is the same host. */
  dir: string;
  /** More of the agent's options, by camelCase key. */
  flags?: Record<string, string>;
  /** Seconds a silent engine's containers stay declared, also fewer than the option takes. */
  graceSeconds?: number;
  /** Other than the usual ones. */
  engineLimits?: EngineLimits;
};

/** Where the agent says its host is reached. */
export const ownAddresses = ["10.77.0.1", "fd77::1"];

/** An agent in this process, beside real engines, that pushes to a recorder. */
export function startAgentBeside({
  engines,
  resolver,
  dir,
  flags = {},
  graceSeconds,
  engineLimits,
}: BesideOptions): Promise<RunningAgent> {
  const stateDir = join(dir, "state");
  const tokenFile = join(dir, "token");
  mkdirSync(stateDir, { recursive: true });
  writeFileSync(tokenFile, "secret\n");
  const all = {
    ...{ engine: engines.join(","), resolver: resolver.url, stateDir, tokenFile },
    ...{ hostLabel: "alpha", advertise: ownAddresses.join(","), lease: "5", status: "off" },
    servicesDir: join(dir, "services"),
    ...flags,
  };
  const log = createLog("agent", "error", (line) => console.error(line));
  const config = readConfig(agentOptions, all, {});
  return startAgent(
    { ...config, engineGrace: graceSeconds ?? config.engineGrace },
    { fetch, log, ...(engineLimits === undefined ? {} : { engineLimits }) },
  );
}
