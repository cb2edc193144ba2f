import { fstatSync } from "node:fs";

import type { LineStyle } from "../shared/log.ts";

/** How a line on stderr says its level to whoever reads it there. */
export function stderrStyle(): LineStyle {
  return isJournal(process.env.JOURNAL_STREAM, 2) ? "priority" : "word";
}

/**
 * Whether the open file `fd` is the connection to systemd's journal. `stream` is JOURNAL_STREAM: systemd puts the connection's device and
 * inode there, and everybody below inherits it, wherever their own output goes by then (systemd.exec(5)).
 */
export function isJournal(stream: string | undefined, fd: number): boolean {
  if (!stream) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    // A closed stderr is nobody's journal.
    return false;
  }
}
