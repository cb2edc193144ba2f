import { z } from "zod";

import type { Option } from "../shared/config.ts";
import { createLog, type Log, type LogLevel, logLevels } from "../shared/log.ts";
import type { Progress } from "../shared/progress.ts";
import { stderrStyle } from "./journal.ts";

/** How much a command says on stderr, where a person looks at it. */
export function logOptions(standard: LogLevel) {
  return {
    logLevel: {
      schema: z
        .enum(logLevels, { error: `one of ${logLevels.join(", ")}` })
        .default(standard) as z.ZodType<LogLevel>,
      value: "LEVEL",
      help: `debug, info, warn or error (${standard})`,
    },
  } satisfies Record<string, Option<unknown>>;
}

export const caOption = {
  ca: {
    schema: z.string().optional() as z.ZodType<string | undefined>,
    value: "FILE",
    help: "the resolver's ca.pem, trusted besides the system's authorities (this machine's own resolver's)",
  },
} satisfies Record<string, Option<unknown>>;

export const yesOption = {
  yes: { schema: z.boolean().default(false), help: "install what is missing without asking" },
} satisfies Record<string, Option<unknown>>;

/**
 * Everything a part logs goes to stderr, one line each: stdout is for what a command was asked to print. The journal is told each line's
 * level in its own way.
 */
export function logFor(who: string, level: LogLevel): Log {
  return createLog(who, level, (line) => process.stderr.write(`${line}\n`), stderrStyle());
}

/** What a command leaves running: the process then lives until SIGINT or SIGTERM, and closes it. */
export interface Running {
  close(): Promise<void>;
  /** Reads its settings and sources again, at SIGHUP. Without it SIGHUP ends the process. */
  reload?(): Promise<void>;
  /** Whether its loops turn: systemd's watchdog hears of it. */
  readonly progress?: Progress;
  /** One line of how it is, for `systemctl status`. */
  status?(): string;
}

/** One command of berth. `run` resolves to what keeps running, or to an exit code. */
export interface Command {
  summary: string;
  /** Option tables by their room; --help lists them. */
  options: Record<string, Option<unknown>>;
  run(argv: string[]): Promise<Running | number>;
  /** What follows the flags, as --help shows it; a command without takes none. */
  operands?: string;
}

/** Commands that share their first word, such as token create and token list. */
export interface CommandGroup {
  summary: string;
  commands: Record<string, Command>;
  /** Which of them the first word alone means. */
  standard?: string;
}
