import type { Result } from "./bench.ts";

/** What a figure has to reach on a machine of two cores with nothing else to do. */
export type Bar = { of: "median" | "p99" | "ratio" } & ({ atMost: number } | { atLeast: number });

/** One sentence for each bar of a row, and whether it is met; undefined where the row has too few values to say. */
export function verdictsOf({
  bars = [],
  summary,
  ratio,
}: Result): { text: string; isMet: boolean | undefined }[] {
  return bars.map((bar) => {
    const value = { median: summary.median, p99: p99Of(summary), ratio: ratio?.summary.median }[bar.of];
    const [sign, limit] = "atMost" in bar ? ["≤", bar.atMost] : ["≥", bar.atLeast];
    const isMet = value === undefined ? undefined : "atMost" in bar ? value <= limit : value >= limit;
    const verdict = isMet === undefined ? "not judged" : isMet ? "met" : "missed";
    return { text: `${bar.of} ${sign} ${limit}: ${verdict}`, isMet };
  });
}

/** Below a hundred values it would be the maximum under another name. */
export function p99Of({ count, p99 }: Result["summary"]): number | undefined {
  return count >= 100 ? p99 : undefined;
}
