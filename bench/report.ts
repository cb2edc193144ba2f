import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { p99Of, verdictsOf } from "./bar.ts";
import type { Result } from "./bench.ts";
import type { MachineFacts } from "./machine.ts";
import type { Summary } from "./measure.ts";

/** What became of one bench: `notRun` or `failed` say why there are no results. */
export interface Outcome {
  name: string;
  about: string;
  results: Result[];
  notRun?: string;
  failed?: string;
  seconds: number;
  /** 0 to 1: the share of all cores' time that others used just before it. */
  usedByOthers: number;
}

export interface Report {
  machine: MachineFacts;
  quick: boolean;
  outcomes: Outcome[];
}

const resultsDir = join(import.meta.dirname, "results");

/** Writes `results/<name>.json` and `.md`; returns the Markdown. */
export function writeReport(report: Report, name: string): string {
  const markdown = markdownOf(report);
  mkdirSync(resultsDir, { recursive: true });
  writeFileSync(join(resultsDir, `${name}.json`), `${JSON.stringify(rounded(report), undefined, 2)}\n`);
  writeFileSync(join(resultsDir, `${name}.md`), markdown);
  return markdown;
}

export function markdownOf({ machine, quick, outcomes }: Report): string {
  const { date, cores, cpu, memoryGiB, node, loadAverage } = machine;
  const kind = quick ? "Quick run (few rounds, small sizes: not for quoting)" : "Full run";
  const facts = `${date} UTC, ${cores} cores, ${cpu}, ${memoryGiB} GiB, Node ${node}, load average ${loadAverage}`;
  return `${[`${kind}: ${facts}.`, ...outcomes.map(sectionOf)].join("\n\n")}\n`;
}

function sectionOf(outcome: Outcome): string {
  const { name, about, results, notRun, failed, seconds, usedByOthers } = outcome;
  const heading = `### ${name}\n\n${about}.`;
  if (notRun !== undefined) return `${heading}\n\nNot run: ${notRun}`;
  if (failed !== undefined) return `${heading}\n\nFailed: ${failed}`;
  const used = `${seconds.toFixed(0)} s; others used ${percent(usedByOthers)} of the cores just before.`;
  return `${heading} ${used}\n\n${tableOf(results)}`;
}

function tableOf(results: Result[]): string {
  const rows = results.map(cellsOf);
  const heads = ["what", "unit", "median", "min to max", "spread", "p99", "runs", "ratio", "bar", "note"];
  const rule = ["---", "---", "---:", "---:", "---:", "---:", "---:", "---", "---", "---"];
  return [heads, rule, ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
}

function cellsOf(result: Result): string[] {
  const { what, unit, summary, ratio, note } = result;
  const p99 = p99Of(summary);
  return [
    what,
    unit,
    figure(summary.median),
    `${figure(summary.min)} to ${figure(summary.max)}`,
    percent(summary.spread),
    p99 === undefined ? "" : figure(p99),
    String(summary.count),
    ratio === undefined ? "" : `${ratioText(ratio.summary)} of ${ratio.to}`,
    verdictsOf(result)
      .map(({ text }) => text)
      .join("; "),
    note ?? "",
  ];
}

function ratioText({ median, min, max }: Summary): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
}

/** Three significant digits: no bench repeats to more. */
function figure(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en");
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function rounded(value: unknown): unknown {
  const round = (_key: string, inner: unknown) => {
    return typeof inner === "number" && !Number.isInteger(inner) ? Number(inner.toPrecision(5)) : inner;
  };
  return JSON.parse(JSON.stringify(value, round));
}
