import type { Command, CommandGroup } from "./command.ts";

/** What the first words of a command line name. `name` is as much of them as was understood. */
export type Found =
  | { kind: "command"; name: string; command: Command; argv: string[] }
  | { kind: "group"; name: string; group: CommandGroup }
  | { kind: "unknown"; name: string; group?: string };

/** One word names a command, two name one of a group; a group asked for alone is its standard command, where it has one. */
export function findCommand(table: Record<string, Command | CommandGroup>, words: string[]): Found {
  const [name = "", ...argv] = words;
  const found = Object.hasOwn(table, name) ? table[name] : undefined;
  if (found === undefined) return { kind: "unknown", name };
  if ("run" in found) return { kind: "command", name, command: found, argv };
  return findInGroup(name, found, argv);
}

function findInGroup(name: string, group: CommandGroup, argv: string[]): Found {
  const [second, ...rest] = argv;
  if (second === "--help" || second === "-h") return { kind: "group", name, group };
  const isNamed = second !== undefined && !second.startsWith("-");
  const wanted = isNamed ? second : group.standard;
  if (wanted === undefined) return { kind: "group", name, group };
  const command = Object.hasOwn(group.commands, wanted) ? group.commands[wanted] : undefined;
  if (command === undefined) return { kind: "unknown", name: `${name} ${wanted}`, group: name };
  return { kind: "command", name: `${name} ${wanted}`, command, argv: isNamed ? rest : argv };
}
