/**
 * How long a model test searches: `usual` histories, or as many as BERTH_MODEL_RUNS says. BERTH_MODEL_SEED is the seed of a search that
 * found something, to see it again.
 */
export function modelRuns(usual: number): { runs: number; length: number; seed?: number } {
  const { BERTH_MODEL_RUNS: runs, BERTH_MODEL_SEED: seed } = process.env;
  return { runs: Number(runs ?? usual), length: 40, ...(seed === undefined ? {} : { seed: Number(seed) }) };
}
