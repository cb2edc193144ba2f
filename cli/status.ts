import { agentStatusSchema, troublesOf } from "../agent/status/agent-status.ts";
import { statusOption } from "../agent/status/status-option.ts";
import { readConfig } from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";
import { jsonOption, note, printJson, printLines } from "./admin.ts";
import { readAgent } from "./agent-access.ts";
import type { Command } from "./command.ts";
import { parseFlags } from "./flags.ts";
import { statusLines } from "./status-lines.ts";

const statusAddressOption = {
  status: {
    schema: statusOption,
    value: "HOST:PORT",
    help: "where the running agent's status is (127.0.0.1:9853)",
  },
};

const options = {
  json: { ...jsonOption.json, help: "print what the agent tells instead of lines for people" },
  ...statusAddressOption,
};

/**
 * `berth status`: how the agent of this machine is; exit code 1 when an engine is down, its or this host's addresses cannot be told, or the
 * lease does not run.
 */
export const statusCommand: Command = {
  summary: "how this machine's agent is: its engines, its lease, its problems",
  options,
  async run(argv) {
    const { status: at, json } = readConfig(options, parseFlags(options, argv), process.env);
    if (at === undefined) throw statusIsOff();
    const status = await readAgent(at, "/status", agentStatusSchema);
    await (json ? printJson(status) : printLines(statusLines(status)));
    const troubles = troublesOf(status);
    for (const trouble of troubles) note(trouble);
    return troubles.length === 0 ? 0 : 1;
  },
};

function statusIsOff(): BerthError {
  const message =
    "the agent's status is off (BERTH_STATUS or --status says so); --status HOST:PORT says where it is";
  return new BerthError("bad-config", message);
}
