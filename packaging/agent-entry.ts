import { runCommandLine } from "../cli/command-line.ts";
import { agentCommand } from "../cli/parts.ts";

// The agent runs on every host, all the time. Bundled without what resolver and proxy need it takes a tenth less memory.
process.exitCode = await runCommandLine({ agent: agentCommand }, process.argv.slice(2));
