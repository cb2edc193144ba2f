import { expect, test } from "vitest";

import type { Command, CommandGroup } from "./command.ts";
import { findCommand } from "./command-path.ts";

const command = (summary: string): Command => ({ summary, options: {}, run: async () => 0 });
const create = command("create");
const list = command("list");
const ls = command("ls");
const token: CommandGroup = { summary: "tokens", commands: { create, list } };
const names: CommandGroup = { summary: "names", commands: { list }, standard: "list" };
const table = { ls, token, names };

test.each([
  [["ls", "--problems"], { kind: "command", name: "ls", command: ls, argv: ["--problems"] }],
  [
    ["token", "create", "--kind", "agent"],
    { kind: "command", name: "token create", command: create, argv: ["--kind", "agent"] },
  ],
  [["names"], { kind: "command", name: "names list", command: list, argv: [] }],
  [["names", "--kept"], { kind: "command", name: "names list", command: list, argv: ["--kept"] }],
  [["names", "list", "--kept"], { kind: "command", name: "names list", command: list, argv: ["--kept"] }],
  [["names", "list", "--help"], { kind: "command", name: "names list", command: list, argv: ["--help"] }],
  [["names", "--help"], { kind: "group", name: "names", group: names }],
  [["token"], { kind: "group", name: "token", group: token }],
  [["token", "-h"], { kind: "group", name: "token", group: token }],
  [["token", "--json"], { kind: "group", name: "token", group: token }],
  [["token", "destroy"], { kind: "unknown", name: "token destroy", group: "token" }],
  [["token", "constructor"], { kind: "unknown", name: "token constructor", group: "token" }],
  [["sail"], { kind: "unknown", name: "sail" }],
  [["toString"], { kind: "unknown", name: "toString" }],
])("berth %j", (words, found) => {
  expect(findCommand(table, words)).toEqual(found);
});
