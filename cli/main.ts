import { explainOnce } from "../agent/main.ts";
import { auditCommand } from "./audit.ts";
import { backupCommand, restoreCommand } from "./backup.ts";
import type { Command, CommandGroup } from "./command.ts";
import { runCommandLine } from "./command-line.ts";
import { demoCommand } from "./demo.ts";
import { dnsCommands } from "./dns.ts";
import { explainCommandWith } from "./explain.ts";
import { hostsCommands } from "./hosts.ts";
import { lsCommand } from "./ls.ts";
import { namesCommands } from "./names.ts";
import { agentCommand, proxyCommand, resolverCommand } from "./parts.ts";
import { isCheckout } from "./place.ts";
import { testCommand } from "./run-tests.ts";
import { statusCommand } from "./status.ts";
import { tokenCommands } from "./token.ts";
import { upCommand } from "./up.ts";

const commands: Record<string, Command | CommandGroup> = {
  demo: demoCommand,
  up: upCommand,
  resolver: resolverCommand,
  agent: agentCommand,
  status: statusCommand,
  explain: explainCommandWith(explainOnce),
  proxy: proxyCommand,
  dns: dnsCommands,
  ls: lsCommand,
  hosts: hostsCommands,
  names: namesCommands,
  token: tokenCommands,
  audit: auditCommand,
  backup: backupCommand,
  restore: restoreCommand,
  ...(isCheckout ? { test: testCommand } : {}),
};

// A reader that goes away (head, a closed terminal) must not end us before we have taken back what we started.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);

process.exitCode = await runCommandLine(commands, process.argv.slice(2));
