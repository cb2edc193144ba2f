import { oneLine } from "./log.ts";

/** The media type of what `exposition` returns. */
export const metricsType = "text/plain; version=0.0.4; charset=utf-8";

/** One metric, without the prefix that all of a program's have. */
export interface Family {
  name: string;
  type: "gauge" | "counter";
  help: string;
  samples: Sample[];
}

/** `value` is undefined where there is nothing to tell yet: no sample then, because 0 would be a claim. */
export interface Sample {
  value: number | boolean | undefined;
  labels?: Readonly<Record<string, string>>;
}

/** Prometheus' text format 0.0.4, every name behind `prefix` and an underscore. Families without a sample are left out. */
export function exposition(prefix: string, families: readonly Family[]): string {
  return families.map((family) => familyText(prefix, family)).join("");
}

export function gauge(name: string, help: string, samples: Sample[]): Family {
  return { name, type: "gauge", help, samples };
}

export function counter(name: string, help: string, samples: Sample[]): Family {
  return { name, type: "counter", help, samples };
}

/** A sample for each count, told apart by one label. */
export function samplesBy(label: string, counts: ReadonlyMap<string, number>): Sample[] {
  return [...counts].map(([text, value]) => ({ value, labels: { [label]: text } }));
}

/** How often each word is there. */
export function countsOf(words: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

function familyText(prefix: string, { name, type, help, samples }: Family): string {
  const full = `${prefix}_${name}`;
  // One sample twice makes Prometheus drop the whole scrape, so the first of two with the same labels stands.
  const lines = new Map<string, string>();
  for (const { value, labels = {} } of samples) {
    const key = labelsText(labels);
    if (value !== undefined && !lines.has(key)) lines.set(key, `${full}${key} ${numberText(value)}\n`);
  }
  if (lines.size === 0) return "";
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${[...lines.values()].join("")}`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Without line breaks and the like there are only two characters left to escape; a lone surrogate would not survive UTF-8. */
function escaped(value: string): string {
  return oneLine(value.toWellFormed()).replace(/[\\"]/g, (character) => `\\${character}`);
}

/** The format's words for what JavaScript writes otherwise. */
function numberText(value: number | boolean): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}
