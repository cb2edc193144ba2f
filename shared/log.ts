/** Where a room's edge reports what it did. Pure code returns `problems` instead. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export const logLevels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** A log that hands one finished line, without its line break, to `write`. Lines below `level` are dropped. */
export function createLog(who: string, level: LogLevel, write: (line: string, level: LogLevel) => void): Log {
  const lowest = logLevels.indexOf(level);
  function at(severity: LogLevel) {
    return (message: string): void => {
      if (logLevels.indexOf(severity) < lowest) return;
      write(`${severity.padEnd(5)} ${who}: ${oneLine(message)}`, severity);
    };
  }
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** Container names, labels and peers' messages reach the log: none of them may start a line of its own (log injection). */
export function oneLine(message: string): string {
  return message.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}
