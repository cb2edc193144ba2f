import { readFileSync } from "node:fs";

import { BerthError, describeFault } from "../shared/errors.ts";
import type { Command, Running } from "./command.ts";
import { demoCommand } from "./demo.ts";
import { helpFor } from "./flags.ts";
import { untilInterrupted } from "./interruption.ts";
import { lsCommand } from "./ls.ts";
import { agentCommand, proxyCommand, resolverCommand } from "./parts.ts";
import { testCommand } from "./run-tests.ts";
import { upCommand } from "./up.ts";

const commands: Record<string, Command> = {
  demo: demoCommand,
  up: upCommand,
  resolver: resolverCommand,
  agent: agentCommand,
  proxy: proxyCommand,
  ls: lsCommand,
  test: testCommand,
};

// A reader that goes away (head, a closed terminal) must not end us before we have taken back what we started.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

process.exitCode = await main(process.argv.slice(2));

async function main([name = "help", ...argv]: string[]): Promise<number> {
  if (name === "help" || name === "--help" || name === "-h") return print(overview());
  if (name === "version" || name === "--version") return print(version());
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return complain(`there is no command "${name}"; berth help lists them`, 2);
  if (argv.includes("--help") || argv.includes("-h")) return print(helpOf(name, command));
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

function overview(): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return `berth: names for services in containers\n\nUsage: berth COMMAND [FLAGS]\n\n${rows.join("\n")}
  install   install berth's npm packages, and nothing else
  help      this list; berth COMMAND --help lists a command's flags
  version   berth's version\n\nEvery flag can be given as BERTH_ITS_NAME in the environment instead;
BERTH_STATE_DIR is the directory below which all parts keep theirs.`;
}

function helpOf(name: string, { summary, options }: Command): string {
  return `berth ${name}: ${summary}\n\n${helpFor(options)}`;
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
