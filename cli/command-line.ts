import { BerthError, describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { linePrefix, oneLine } from "../shared/log.ts";
import { type Command, type CommandGroup, logFor, type Running } from "./command.ts";
import { findCommand } from "./command-path.ts";
import { helpFor } from "./flags.ts";
import { onHangUp, untilInterrupted } from "./interruption.ts";
import { stderrStyle } from "./journal.ts";
import { isCheckout } from "./place.ts";
import { serve } from "./service-life.ts";
import { type ServiceManager, serviceManager } from "./systemd.ts";
import { version } from "./version.ts";

type Commands = Record<string, Command | CommandGroup>;

/** Runs what the words name, until it is done or a signal ends it. Resolves to the process' exit code; every fault becomes one line. */
export async function runCommandLine(commands: Commands, words: string[]): Promise<number> {
  const [name = "help"] = words;
  if (name === "help" || name === "--help" || name === "-h") return print(overview(commands));
  if (name === "version" || name === "--version") return print(version());
  const found = findCommand(commands, words);
  if (found.kind === "unknown") {
    const list = found.group === undefined ? "berth help" : `berth ${found.group} --help`;
    return complain(`there is no command "${found.name}"; ${list} lists them`, 2);
  }
  if (found.kind === "group") return print(groupHelp(found.name, found.group));
  const { command, argv } = found;
  if (argv.includes("--help") || argv.includes("-h")) return print(helpOf(found.name, command));
  const log = logFor(found.name, "info");
  const manager = serviceManager(process.env, process.pid, (message) => log.warn(message));
  try {
    const result = await command.run(argv);
    return typeof result === "number" ? result : await runUntilSignal(result, manager, log);
  } catch (fault) {
    const isWorthRetrying = fault instanceof BerthError && fault.retryable;
    const isOurs = !(fault instanceof BerthError);
    return complain(describeFault(fault), isWorthRetrying || isOurs ? 1 : 2);
  }
}

async function runUntilSignal(running: Running, manager: ServiceManager, log: Log): Promise<number> {
  await serve(running, { manager, ended: untilInterrupted(), onHangUp, log });
  return 0;
}

function overview(commands: Commands): string {
  return `berth: names for services in containers\n\nUsage: berth COMMAND [FLAGS]\n\n${summaries(commands)}
${isCheckout ? "  install   install berth's npm packages, and nothing else\n" : ""}  help      this list; berth COMMAND --help lists a command's flags
  version   berth's version\n\nEvery flag can be given as BERTH_ITS_NAME in the environment instead;
BERTH_STATE_DIR is the directory below which all parts keep theirs.`;
}

function summaries(table: Record<string, { summary: string }>): string {
  return Object.entries(table)
    .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
    .join("\n");
}

function groupHelp(name: string, { summary, commands: own, standard }: CommandGroup): string {
  const alone = standard === undefined ? "" : `\nberth ${name} alone is berth ${name} ${standard}.`;
  const more = `berth ${name} COMMAND --help lists a command's flags.`;
  return `berth ${name}: ${summary}\n\n${summaries(own)}\n${alone}\n${more}`;
}

function helpOf(name: string, { summary, options, operands }: Command): string {
  const usage = operands === undefined ? "" : `\n\nUsage: berth ${name} ${operands} [FLAGS]`;
  return `berth ${name}: ${summary}${usage}\n\n${helpFor(options)}`;
}

function print(text: string): number {
  console.log(text);
  return 0;
}

function complain(message: string, code: number): number {
  // What an engine or a peer said may be in it.
  const prefix = stderrStyle() === "priority" ? linePrefix("error", "priority") : "";
  process.stderr.write(`${prefix}berth: ${oneLine(message)}\n`);
  return code;
}
