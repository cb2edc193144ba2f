import { oneLine } from "../shared/log.ts";

/** Rows under their headings, in columns. A cell may quote what somebody else wrote: a terminal must not obey it. */
export function tableLines(headings: string[], rows: string[][]): string[] {
  const cells = [headings, ...rows].map((row) => row.map(oneLine));
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** Milliseconds since 1970 as people compare them: UTC, to the minute. */
export function minuteOf(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")}Z`;
}
