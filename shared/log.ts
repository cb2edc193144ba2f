/** Where a room's edge reports what it did. Pure code returns `problems` instead. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** How a line says its level: by a word before it, or by systemd's priority prefix (sd-daemon(3)), which the journal takes off. */
export type LineStyle = "word" | "priority";

/** syslog's numbers (RFC 5424 §6.2.1). */
const priorities = { debug: 7, info: 6, warn: 4, error: 3 } as const satisfies Record<LogLevel, number>;

/** The journal cuts a line at 48 KiB by default, and takes what follows for another one, with a priority prefix of its own. */
const longestMessage = 4_000;

/** A log that hands one finished line, without its line break, to `write`. Lines below `level` are dropped. */
export function createLog(
  who: string,
  level: LogLevel,
  write: (line: string, level: LogLevel) => void,
  style: LineStyle = "word",
): Log {
  const lowest = logLevels.indexOf(level);
  function at(severity: LogLevel) {
    return (message: string): void => {
      if (logLevels.indexOf(severity) < lowest) return;
      write(`${linePrefix(severity, style)}${who}: ${shortened(oneLine(message))}`, severity);
    };
  }
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** What a line of this severity starts with. */
export function linePrefix(severity: LogLevel, style: LineStyle): string {
  return style === "priority" ? `<${priorities[severity]}>` : `${severity.padEnd(5)} `;
}

function shortened(message: string): string {
  if (message.length <= longestMessage) return message;
  return `${message.slice(0, longestMessage)}... (${message.length - longestMessage} characters more)`;
}

/** Container names, labels and peers' messages reach the log: none of them may start a line of its own (log injection). */
export function oneLine(message: string): string {
  return message.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}
