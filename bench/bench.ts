import type { Bar } from "./bar.ts";
import type { Summary } from "./measure.ts";

/** One benchmark. */
export interface Bench {
  name: string;
  /** One line for the report: what is measured, between which two points. */
  about: string;
  /** Why it cannot run on this machine, or undefined; then it stands in the report as not run, with the reason. */
  whyNot(): string | undefined;
  run(context: Context): Promise<Result[]>;
}

export interface Context {
  /** Fewer rounds and smaller sizes, for a look: not for figures to quote. */
  quick: boolean;
  /** One line about progress. */
  say(line: string): void;
}

/** One row of the report. */
export interface Result {
  what: string;
  unit: string;
  summary: Summary;
  /** This divided by the row `to`, round by round of the same run: what holds on a noisy machine. */
  ratio?: { to: string; summary: Summary };
  bars?: Bar[];
  note?: string;
}
