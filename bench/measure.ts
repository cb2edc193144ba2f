/** What a set of values comes to. `spread` is (max - min) / median: every run counts, none is thrown away. */
export interface Summary {
  count: number;
  median: number;
  min: number;
  max: number;
  p99: number;
  spread: number;
}

/** Rounds nobody counts, which let code compile and caches fill; then the counted ones. */
export interface Rounds {
  warmUp: number;
  counted: number;
}

/** Throws on no values: a bench that measured nothing must not report a zero. */
export function summarize(values: readonly number[]): Summary {
  if (values.length === 0 || values.some((value) => !Number.isFinite(value)))
    throw new Error(`nothing to summarize in [${values.join(", ")}]`);
  const sorted = values.toSorted((a, b) => a - b);
  const [min, max] = [at(sorted, 0), at(sorted, sorted.length - 1)];
  const middle = median(sorted);
  const spread = middle === 0 ? 0 : (max - min) / Math.abs(middle);
  return { count: sorted.length, median: middle, min, max, p99: nearestRank(sorted, 0.99), spread };
}

/** The middle value; the mean of the two middle ones when there is no single one. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return (at(sorted, Math.ceil(half) - 1) + at(sorted, Math.floor(half))) / 2;
}

/**
 * Runs every side once per round, so that what the machine does meanwhile falls on all sides alike. Every other round goes backwards:
 * else a load that grows would always favour the side that runs first.
 */
export async function interleave<K extends string, T>(
  sides: Record<K, () => Promise<T>>,
  { warmUp, counted }: Rounds,
): Promise<Record<K, T[]>> {
  const names = Object.keys(sides) as K[];
  const taken = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<K, T[]>;
  for (let round = 0; round < warmUp + counted; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const value = await sides[name]();
      if (round >= warmUp) taken[name].push(value);
    }
  }
  return taken;
}

/** Of two sides of one interleaved run: their ratio in each round, summarized. */
export function ratio(of: readonly number[], to: readonly number[]): Summary {
  if (of.length !== to.length) throw new Error(`${of.length} rounds cannot be paired with ${to.length}`);
  return summarize(of.map((value, round) => value / at(to, round)));
}

/** The smallest value that at least `share` of all values do not exceed: always a value that occurred. */
function nearestRank(sorted: readonly number[], share: number): number {
  return at(sorted, Math.ceil(share * sorted.length) - 1);
}

function at(values: readonly number[], index: number): number {
  const value = values[index];
  if (value === undefined) throw new Error(`no value at ${index} of ${values.length}`);
  return value;
}
