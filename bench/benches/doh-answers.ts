import { createNetns, randomSuffix } from "../../test/testbed/netns.ts";
import { programPath } from "../../test/testbed/requirements.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import type { Bench, Context, Result } from "../bench.ts";
import { resolverFiles, resolverUrl, startPart } from "../berth.ts";
import { runH2load } from "../h2load.ts";
import { cpuSeconds, separateCores } from "../machine.ts";
import { interleave, median, ratio, summarize } from "../measure.ts";
import { type Placement, type Program, startProgram } from "../program.ts";
import type { ConstantOrders } from "../programs/doh-constant.ts";
import type { LoadOrders } from "../programs/doh-load.ts";
import type { Method } from "../programs/doh-session.ts";
import { bindingsPerHost, fill, openRegistry } from "../registry.ts";
import { withUndo } from "../undo.ts";

const names = 1_000;
const sessions = 4;
const inFlight = 50;
const floorPort = 8054;

interface Server {
  origin: string;
  pid: number;
}

/** One round: the rate as the generator saw it, and what the server's process used for it. */
interface Round {
  perSecond: number;
  cpuMicros: number;
  /** Of one core; well below 1 the generator was the slower side. */
  coreShare: number;
}

type Generator = (server: Server, method: Method) => Promise<Round>;

export const dohAnswers: Bench = {
  name: "doh-answers",
  about: `SRV answers for ${names} names over HTTP/2 and TLS, ${sessions} connections with ${inFlight} questions in flight each; the floor is node:http2's stream API saying the same bytes to every request`,
  whyNot() {
    if (process.getuid?.() !== 0) return "it needs root, for a network namespace without connection tracking";
    return programPath("ip") === undefined ? "it needs ip, of iproute2" : undefined;
  },
  run: (context) =>
    withUndo(async (later) => {
      const dir = makeTemporaryDir("berth-bench-");
      later(() => dir.remove());
      const netns = await createNetns(`berth-${randomSuffix()}`);
      later(() => netns.remove());
      const cores = separateCores();
      const load = { netns: netns.name, core: cores?.load };
      const generator = startProgram<LoadOrders>("doh-load.ts", load);
      later(() => generator.stop());
      const place = { netns: netns.name, core: cores?.measured };
      const servers = await startServers(dir.path, place, generator, later);
      const seconds = context.quick ? 0.5 : 1.2;
      const own = ownGenerator(generator, resolverFiles(dir.path).caFile, seconds);
      const results = await measure(context, "own generator", servers, own);
      if (programPath("h2load") === undefined) return results;
      const foreign = h2loadGenerator(dir.path, load, results, seconds);
      return [...results, ...(await measure(context, "h2load", servers, foreign))];
    }),
};

/** Both on one core: while one is asked, the other does nothing. */
async function startServers(
  dir: string,
  place: Placement,
  generator: Program<LoadOrders>,
  later: (undo: () => unknown) => void,
): Promise<{ resolver: Server; floor: Server }> {
  const { database, caFile, certificateAndKey } = resolverFiles(dir);
  const store = openRegistry(database);
  await fill(store, names / bindingsPerHost);
  store.close();
  const resolver = await startPart("resolver", { "state-dir": dir }, place);
  later(() => resolver.stop());
  const floor = startProgram<ConstantOrders>("doh-constant.ts", place);
  later(() => floor.stop());
  const body = await generator.ask("sample", { origin: resolverUrl, caFile });
  await floor.ask("listen", { certificateAndKey, port: floorPort, body });
  return {
    resolver: { origin: resolverUrl, pid: resolver.pid },
    floor: { origin: `https://127.0.0.1:${floorPort}`, pid: floor.pid },
  };
}

function ownGenerator(generator: Program<LoadOrders>, caFile: string, seconds: number): Generator {
  return async ({ origin, pid }, method) => {
    const before = cpuSeconds(pid);
    const run = await generator.ask("run", { origin, caFile, method, names, sessions, inFlight, seconds });
    return roundOf(run.answers, run.seconds, cpuSeconds(pid) - before);
  };
}

/** It counts requests rather than time, so that CPU time can be divided by them; as many as take about `seconds`. */
function h2loadGenerator(dir: string, place: Placement, known: Result[], seconds: number): Generator {
  return async ({ origin, pid }, method) => {
    const perSecond =
      known.find(({ what, unit }) => unit === "1/s" && what.includes(method))?.summary.median ?? 0;
    const requests = Math.max(1_000, Math.round(perSecond * seconds));
    const before = cpuSeconds(pid);
    const rate = await runH2load({ origin, method, names, sessions, inFlight, requests, dir }, place);
    return roundOf(requests, requests / rate, cpuSeconds(pid) - before);
  };
}

function roundOf(answers: number, seconds: number, cpu: number): Round {
  return { perSecond: answers / seconds, cpuMicros: (cpu * 1e6) / answers, coreShare: cpu / seconds };
}

async function measure(
  context: Context,
  by: string,
  { resolver, floor }: { resolver: Server; floor: Server },
  generate: Generator,
): Promise<Result[]> {
  context.say(by);
  const sides = {
    resolverGet: () => generate(resolver, "GET"),
    floorGet: () => generate(floor, "GET"),
    resolverPost: () => generate(resolver, "POST"),
    floorPost: () => generate(floor, "POST"),
  };
  const taken = await interleave(sides, { warmUp: 1, counted: context.quick ? 3 : 5 });
  return [
    ...rowsOf(`GET, ${by}`, taken.resolverGet, taken.floorGet),
    ...rowsOf(`POST, ${by}`, taken.resolverPost, taken.floorPost),
  ];
}

function rowsOf(what: string, resolver: Round[], floor: Round[]): Result[] {
  const rates = (rounds: Round[]) => rounds.map(({ perSecond }) => perSecond);
  const costs = (rounds: Round[]) => rounds.map(({ cpuMicros }) => cpuMicros);
  const to = "the floor";
  return [
    {
      what,
      unit: "1/s",
      summary: summarize(rates(resolver)),
      ratio: { to, summary: ratio(rates(resolver), rates(floor)) },
      note: coreNote(resolver),
    },
    { what: `floor: ${what}`, unit: "1/s", summary: summarize(rates(floor)), note: coreNote(floor) },
    {
      what: `resolver's CPU per answer, ${what}`,
      unit: "µs",
      summary: summarize(costs(resolver)),
      ratio: { to, summary: ratio(costs(resolver), costs(floor)) },
    },
  ];
}

function coreNote(rounds: Round[]): string {
  const share = median(rounds.map(({ coreShare }) => coreShare));
  // Then the generator or another program was in its way, and the rate says little about the server.
  const verdict = share < 0.9 ? " only: compare CPU per answer instead" : "";
  return `server had ${Math.round(share * 100)} % of a core${verdict}`;
}
