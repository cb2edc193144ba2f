import { join } from "node:path";

import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import type { Bench, Context, Result } from "../bench.ts";
import { launcherFlags } from "../berth.ts";
import { interleave, median, ratio, summarize } from "../measure.ts";
import { type Program, startProgram } from "../program.ts";
import type { RegistryOrders } from "../programs/registry.ts";
import { withUndo } from "../undo.ts";

type Registry = Program<RegistryOrders>;
type Costs = Awaited<ReturnType<RegistryOrders["push"]>>;

interface Stored {
  bindings: number;
  file: string;
}

const largeSize = 100_000;
const largestSize = 1_000_000;
/** More than the resolver keeps compiled. */
const askedNames = 20_000;

/** A process per zone, all at once: in one process the large zone's garbage would be collected during the small zone's pushes. */
export const pushCost: Bench = {
  name: "push-cost",
  about:
    "One host of 100 bindings pushes its set with one binding changed, into registries of several sizes (SQLite, synchronous FULL); store only, no HTTP",
  whyNot: () => undefined,
  run: (context) =>
    withUndo(async (later) => {
      const dir = makeTemporaryDir("berth-bench-");
      later(() => dir.remove());
      const sizes = context.quick ? [1_000, 10_000] : [1_000, 10_000, largeSize, largestSize];
      const registries = sizes.map((bindings) => {
        const registry = startProgram<RegistryOrders>("registry.ts");
        later(() => registry.stop());
        return { bindings, file: join(dir.path, `${bindings}.db`), registry };
      });
      context.say(`filling registries of ${sizes.join(", ")} bindings`);
      await Promise.all(
        registries.map(({ registry, bindings, file }) => registry.ask("create", { bindings, file })),
      );
      const results = await pushAndRenew(context, registries);
      // A registry's file has one owner at a time.
      for (const { registry } of registries) await registry.stop();
      return [...results, ...(await startUp(context, registries))];
    }),
};

async function pushAndRenew(
  context: Context,
  registries: { bindings: number; registry: Registry }[],
): Promise<Result[]> {
  const rounds = { warmUp: 2, counted: context.quick ? 5 : 15 };
  const hostsPerRound = 10;
  context.say("pushing and renewing");
  const results: Result[] = [];
  for (const order of ["push", "renew"] as const) {
    const sides = Object.fromEntries(
      registries.map(({ bindings, registry }) => [bindings, () => registry.ask(order, hostsPerRound)]),
    );
    results.push(...rowsOf(order, await interleave(sides, rounds)));
  }
  return results;
}

function rowsOf(order: "push" | "renew", taken: Record<string, Costs[]>): Result[] {
  const verb = order === "push" ? "push of one change" : "renewal";
  const sizes = Object.keys(taken).map(Number);
  const roundsAt = (size: number) => taken[size] ?? [];
  const smallest = Math.min(...sizes);
  return sizes.map((size) => {
    const cpuAt = (at: number) => roundsAt(at).map(({ cpuMs }) => cpuMs);
    const times = ratio(cpuAt(size), cpuAt(smallest)).median.toFixed(2);
    const costs = `CPU ${median(cpuAt(size)).toPrecision(2)} ms each, ${times} of that at ${smallest}`;
    const perRound = (at: number) => roundsAt(at).map(({ ms }) => median(ms));
    return {
      what: `${verb}, ${size} bindings`,
      unit: "ms",
      summary: summarize(roundsAt(size).flatMap(({ ms }) => ms)),
      ...(size === smallest
        ? {}
        : { ratio: { to: `${smallest} bindings`, summary: ratio(perRound(size), perRound(smallest)) } }),
      ...(order === "push" && size === largestSize ? { bars: [{ of: "ratio", atMost: 2 }] } : {}),
      note: order === "push" ? `${costs}; the rest is waiting for the disk` : `${costs}; nothing is written`,
    };
  });
}

/** Every start in a fresh process; the file is in the page cache, as after a restart of the program alone. */
async function startUp(context: Context, zones: Stored[]): Promise<Result[]> {
  context.say("starting up");
  const sides = Object.fromEntries(zones.map((zone) => [zone.bindings, () => openOnce(zone)]));
  const taken = await interleave(sides, { warmUp: 0, counted: context.quick ? 2 : 3 });
  return zones.flatMap(({ bindings }) => {
    const starts = taken[bindings] ?? [];
    const open: Result = {
      what: `start-up to the first right answer, ${bindings} bindings`,
      unit: "ms",
      summary: summarize(starts.map(({ opened }) => opened.ms)),
      ...(bindings === largeSize ? { bars: [{ of: "median", atMost: 2_000 }] } : {}),
      note: `CPU ${median(starts.map(({ opened }) => opened.cpuMs)).toFixed(0)} ms`,
    };
    // Of a small registry it would be the memory of everything else.
    return bindings < largeSize ? [open] : [open, ...memoryRows(bindings, starts)];
  });
}

type Start = Awaited<ReturnType<typeof openOnce>>;

function memoryRows(bindings: number, starts: Start[]): Result[] {
  const rowOf = (when: string, after: (start: Start) => Start["asked"]): Result => {
    const grown = (kind: keyof Start["asked"]) =>
      starts.map((start) => (after(start)[kind] - start.opened.before[kind]) / bindings);
    const [living, young] = [median(grown("heap")), median(grown("young"))].map(Math.round);
    return {
      what: `resident memory per binding ${when}, ${bindings} bindings`,
      unit: "bytes",
      summary: summarize(grown("rss")),
      bars: [{ of: "median", atMost: 1_024 }],
      note: `growth since before opening; ${living} live in V8's heap, ${young} are room V8 keeps for new objects`,
    };
  };
  return [
    rowOf("at the start", ({ opened }) => opened.after),
    rowOf(`after ${askedNames} names`, ({ asked }) => asked),
  ];
}

async function openOnce({ bindings, file }: Stored) {
  const registry = startProgram<RegistryOrders>("registry.ts", { flags: [...launcherFlags, "--expose-gc"] });
  try {
    const opened = await registry.ask("open", { bindings, file });
    const count = Math.min(askedNames, bindings);
    return { opened, asked: await registry.ask("ask", { bindings, count }) };
  } finally {
    await registry.stop();
  }
}
