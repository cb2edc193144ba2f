import { readConfig } from "../shared/config.ts";
import { displayName } from "../shared/name.ts";
import { allPartsOptions, readPartsConfig, startAll } from "./all-parts.ts";
import { type Command, logOptions } from "./command.ts";
import { parseFlags } from "./flags.ts";
import { howToUse } from "./how-to-use.ts";
import { interruption } from "./interruption.ts";
import { findEngine } from "./local-engine.ts";
import { statePaths } from "./state.ts";

const options = { ...allPartsOptions, ...logOptions("info") };

/** `berth up`: resolver, agent and proxy in one process, on loopback, for the containers this machine has. */
export const upCommand: Command = {
  summary: "run resolver, agent and proxy on this machine, for the containers it has",
  options,
  async run(argv) {
    const flags = parseFlags(options, argv);
    const { logLevel } = readConfig(options, flags, process.env);
    const config = readPartsConfig(flags, process.env, statePaths());
    const interrupted = interruption();
    const { socketPath, isEngineChosen: isChosen, yes: agreed } = config;
    const wish = { socketPath, isChosen, packages: [], agreed };
    const engine = await findEngine(wish, interrupted);
    try {
      interrupted.throwIfAborted();
      const parts = await startAll(config, engine.socketPath, logLevel);
      console.log(howToUse(parts, [`NAME.${displayName(parts.zone)}`]));
      console.log("NAME stands for any name ./berth ls lists. Ctrl-C ends it.");
      return {
        async close() {
          await parts.close();
          await engine.close();
        },
      };
    } catch (fault) {
      await engine.close();
      throw fault;
    }
  },
};
