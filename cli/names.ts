import { listNames, readZone, releaseName } from "../shared/admin-client.ts";
import { switchSchema } from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";
import { displayName, isInZone, type Name, nameBelow, parseName } from "../shared/name.ts";
import type { NameList } from "../shared/registry-views.ts";
import {
  adminOptions,
  askResolver,
  jsonOption,
  note,
  printJson,
  printLines,
  readAdminConfig,
} from "./admin.ts";
import type { Command, CommandGroup } from "./command.ts";
import { parseArguments, parseFlags } from "./flags.ts";
import { minuteOf, tableLines } from "./table.ts";

type HeldName = NameList["names"][number];

const listOptions = {
  waiting: { schema: switchSchema, help: "only names that others wait for" },
  kept: { schema: switchSchema, help: "only names that are kept though nobody serves them" },
  ...jsonOption,
  ...adminOptions,
};

const listCommand: Command = {
  summary: "list who holds which name, who waits for it, and until when it is kept",
  options: listOptions,
  async run(argv) {
    const config = readAdminConfig(listOptions, parseFlags(listOptions, argv));
    const { names, revision } = await askResolver(config, listNames);
    const shown = names.filter(
      ({ waiting, until }) => (!config.waiting || waiting.length > 0) && (!config.kept || until !== null),
    );
    return config.json ? printJson({ revision, names: shown }) : printLines(nameLines(shown));
  },
};

const releaseCommand: Command = {
  summary: "free a name that is kept though nobody serves it; whoever waits for it has it at once",
  operands: "NAME",
  options: adminOptions,
  async run(argv) {
    const wanted = { least: 1, most: 1, what: "one name" };
    const { flags, operands } = parseArguments(adminOptions, argv, wanted);
    const config = readAdminConfig(adminOptions, flags);
    const { name, isDone } = await askResolver(config, async (access) => {
      const wish = nameInZone(operands[0] ?? "", await readZone(access));
      return { name: displayName(wish), isDone: await releaseName(access, wish) };
    });
    note(isDone ? `${name} is freed` : `nobody holds ${name}`);
    return isDone ? 0 : 1;
  },
};

export const namesCommands: CommandGroup = {
  summary: "list who holds which name, and free names",
  commands: { list: listCommand, release: releaseCommand },
  standard: "list",
};

/** A name as people write it, with the zone or without. Throws a BerthError `bad-name`. */
export function nameInZone(text: string, zone: Name): Name {
  const name = parseName(text);
  if (isInZone(name, zone)) return name;
  // A trailing dot says that it is whole.
  if (!text.endsWith(".")) return nameBelow(displayName(name), zone);
  throw new BerthError("bad-name", `${text} is not below ${displayName(zone)}, the resolver's zone`);
}

export function nameLines(names: HeldName[]): string[] {
  if (names.length === 0) return ["no such names"];
  const rows = names.map(({ name, owner, hostLabel, exclusive, since, until, waiting }) => [
    displayName(name),
    owner,
    exclusive ? `${hostLabel} only` : hostLabel,
    minuteOf(since),
    until === null ? "served" : `kept until ${minuteOf(until)}`,
    waiting.map((claim) => `${claim.hostLabel} (${claim.owner})`).join(", "),
  ]);
  return tableLines(["NAME", "OWNER", "HOST", "SINCE", "STATE", "WAITING"], rows);
}
