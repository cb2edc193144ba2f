import { type AgentConfig, agentOptions } from "../agent/config.ts";
import { statusOption } from "../agent/status/status-option.ts";
import { type ListenAddress, readConfig } from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";
import { oneLine } from "../shared/log.ts";
import { note, printLines } from "./admin.ts";
import { askAgent } from "./agent-access.ts";
import type { Command } from "./command.ts";
import { parseArguments } from "./flags.ts";
import { partEnvironment, statePaths } from "./state.ts";

const { withdraw: _, ...readingOptions } = agentOptions;
const options = {
  ...readingOptions,
  status: {
    schema: statusOption,
    value: "HOST:PORT",
    help: "where the running agent's status is; off: read the engine here, once (127.0.0.1:9853)",
  },
};

/** Reads the engine itself, once, as an agent with this configuration would. Undefined: it knows of nothing by that name. */
export type ExplainOnce = (config: AgentConfig, what: string) => Promise<string[] | undefined>;

/**
 * `berth explain`: why a container, service or name is declared as it is, or is not. The running agent knows; where there is none, the
 * engine is read here with the agent's own flags. Exit code 1 when there is nothing of that name, and all engines and containers could be read.
 */
export function explainCommandWith(explainOnce: ExplainOnce): Command {
  return {
    summary: "say why a container or name is declared as it is, or hidden",
    operands: "CONTAINER|NAME",
    options,
    async run(argv) {
      const wanted = { least: 1, most: 1, what: "one container, service or name" };
      const { flags, operands } = parseArguments(options, argv, wanted);
      const paths = statePaths();
      const defaults = { stateDir: paths.agent, tokenFile: paths.agentTokenFile };
      const config = { ...readConfig(options, flags, partEnvironment(), defaults), withdraw: false };
      const what = operands[0] ?? "";
      const lines = await linesFor(what, config.status, () => explainOnce(config, what));
      if (lines !== undefined) return printLines(lines.map(oneLine));
      note(
        `no container that runs, no service and no name "${what}" is on this host; docker ps --all lists the containers`,
      );
      return 1;
    },
  };
}

async function linesFor(
  what: string,
  at: ListenAddress | undefined,
  readHere: () => Promise<string[] | undefined>,
): Promise<string[] | undefined> {
  if (at === undefined) return readHere();
  try {
    return await explainedByAgent(at, what);
  } catch (fault) {
    if (!(fault instanceof BerthError) || (fault.code !== "no-agent" && fault.code !== "not-an-agent"))
      throw fault;
    note(`${fault.message}; the engine is read here instead, once, with the flags given`);
    return readHere();
  }
}

async function explainedByAgent(at: ListenAddress, what: string): Promise<string[] | undefined> {
  const { status, text } = await askAgent(at, `/explain?of=${encodeURIComponent(what)}`);
  if (status === 404) return undefined;
  if (status !== 200)
    throw new BerthError("agent-fault", `the agent answers ${status}: ${text.trim()}`, { retryable: true });
  return text.replace(/\n$/, "").split("\n");
}
