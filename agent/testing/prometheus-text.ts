/** One sample as a scraper keeps it. */
export interface ScrapedSample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/**
 * Reads Prometheus' text format 0.0.4 more strictly than Prometheus does: HELP, TYPE, then that family's samples; no family twice, no sample
 * twice, no blank line. Throws an Error that quotes the line.
 */
export function parseMetrics(text: string): ScrapedSample[] {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const samples: ScrapedSample[] = [];
  const families = new Set<string>();
  const seen = new Set<string>();
  let family = "";
  let isTyped = true;
  for (const line of text.slice(0, -1).split("\n")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      if (!isTyped || families.has(name)) throw new Error(`unexpected ${line}`);
      families.add(name);
      family = name;
      isTyped = false;
    } else if (kind === "TYPE") {
      const isCounter = name.endsWith("_total");
      if (isTyped || name !== family || rest !== (isCounter ? "counter" : "gauge"))
        throw new Error(`unexpected ${line}`);
      isTyped = true;
    } else {
      const sample = parseSample(line);
      const key = JSON.stringify([sample.name, sample.labels]);
      if (!isTyped || sample.name !== family || seen.has(key)) throw new Error(`unexpected ${line}`);
      seen.add(key);
      samples.push(sample);
    }
  }
  return samples;
}

const pair = String.raw`[a-z_]+="(?:[^"\\\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|\\["\\])*"`;
const shape = new RegExp(
  String.raw`^([a-z_]+)(?:\{(${pair}(?:,${pair})*)\})? (\+Inf|-Inf|NaN|-?[0-9.]+(?:e[+-]?\d+)?)$`,
  "u",
);

function parseSample(line: string): ScrapedSample {
  const [, name, pairs = "", value = ""] = shape.exec(line) ?? [];
  if (name === undefined) throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  for (const [, label = "", escaped = ""] of pairs.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/gu)) {
    if (label in labels) throw new Error(`a label twice: ${line}`);
    labels[label] = escaped.replace(/\\(.)/g, "$1");
  }
  return { name, labels, value: Number(value.replace("Inf", "Infinity")) };
}
