import { parseArgs } from "node:util";

import { flagName, type Options } from "../shared/config.ts";
import { BerthError } from "../shared/errors.ts";

/** The flags of one command by camelCase key. Throws a BerthError `bad-config` naming the flag that is unknown or lacks its value. */
export function parseFlags(options: Options, argv: string[]): Record<string, string | boolean> {
  return parse(options, argv, false).flags;
}

/** As `parseFlags`, of a command whose flags have operands beside them: `least` to `most`, which `what` names in the fault. */
export function parseArguments(
  options: Options,
  argv: string[],
  { least, most, what }: { least: number; most: number; what: string },
): { flags: Record<string, string | boolean>; operands: string[] } {
  const parsed = parse(options, argv, true);
  if (parsed.operands.length >= least && parsed.operands.length <= most) return parsed;
  const message = `give ${what}, not ${parsed.operands.length === 0 ? "nothing" : parsed.operands.join(" ")}`;
  throw new BerthError("bad-config", message);
}

function parse(options: Options, argv: string[], allowPositionals: boolean) {
  const keys = Object.entries(options);
  const spec = Object.fromEntries(
    keys.map(([key, { value, list = false }]) => [
      flagName(key),
      { type: value === undefined ? "boolean" : "string", multiple: list } as const,
    ]),
  );
  try {
    const { values, positionals } = parseArgs({ args: argv, options: spec, strict: true, allowPositionals });
    const flags = keys.flatMap(([key]) => {
      const value = values[flagName(key)];
      return value === undefined ? [] : [[key, joined(value)] as const];
    });
    return { flags: Object.fromEntries(flags), operands: positionals };
  } catch (cause) {
    // Node's own sentence names the flag; what follows its first full stop is about escaping, which is no help here.
    const fault = cause instanceof Error ? (cause.message.split(". ")[0] ?? "") : String(cause);
    throw new BerthError("bad-config", `${fault}; --help lists the flags`, { cause: undefined });
  }
}

/** A list is one text, as it would be in the environment. */
function joined(value: string | boolean | (string | boolean)[]): string | boolean {
  return Array.isArray(value) ? value.filter((part) => part !== "").join(",") : value;
}

/** One line per option, aligned. */
export function helpFor(options: Options): string {
  const rows = Object.entries(options).map(([key, { value, help, list }]) => {
    const flag = `--${flagName(key)}${value === undefined ? "" : ` ${value}`}`;
    return { flag, help: list ? `${help}; may be repeated` : help };
  });
  const width = Math.max(...rows.map(({ flag }) => flag.length));
  return rows.map(({ flag, help }) => `  ${flag.padEnd(width)}  ${help}`).join("\n");
}
