import { readFileSync } from "node:fs";

import { BerthError, describeFault } from "../shared/errors.ts";
import type { Command, CommandGroup, Running } from "./command.ts";
import { findCommand } from "./command-path.ts";
import { helpFor } from "./flags.ts";
import { untilInterrupted } from "./interruption.ts";

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
  try {
    const result = await command.run(argv);
    return typeof result === "number" ? result : await runUntilSignal(result);
  } catch (fault) {
    const isWorthRetrying = fault instanceof BerthError && fault.retryable;
    const isOurs = !(fault instanceof BerthError);
    return complain(describeFault(fault), isWorthRetrying || isOurs ? 1 : 2);
  }
}

async function runUntilSignal(running: Running): Promise<number> {
  await untilInterrupted();
  await running.close();
  return 0;
}

function overview(commands: Commands): string {
  return `berth: names for services in containers\n\nUsage: berth COMMAND [FLAGS]\n\n${summaries(commands)}
  install   install berth's npm packages, and nothing else
  help      this list; berth COMMAND --help lists a command's flags
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

function version(): string {
  return (
    JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
  ).version;
}

function print(text: string): number {
  console.log(text);
  return 0;
}

function complain(message: string, code: number): number {
  process.stderr.write(`berth: ${message}\n`);
  return code;
}
