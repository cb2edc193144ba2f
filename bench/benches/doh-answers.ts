import { readFileSync } from "node:fs";

import { dohPath } from "../../shared/dns/doh.ts";
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

/** Asked for over and over: all of them stay compiled. */
const hotNames = 1_000;
/** Ten times as many as stay compiled: hardly any of them is when its turn comes. */
const allNames = 100_000;
const sessions = 4;
const inFlight = 50;
const floorPort = 8054;
const floorMethods: Method[] = ["GET", "POST"];

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

/** What is asked for and how; absent parts are as for an ordinary lookup of a hot name. */
interface Questions {
  method: Method;
  names?: number;
  /** Shown in the path. */
  token?: string;
}

type Generator = (server: Server, questions: Questions) => Promise<Round>;

export const dohAnswers: Bench = {
  name: "doh-answers",
  about: `SRV answers for ${hotNames} names (of ${allNames}) over HTTP/2 and TLS, ${sessions} connections with ${inFlight} questions in flight each; the floor is node:http2's stream API saying the same bytes to every request`,
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
      const { caFile, readerToken } = resolverFiles(dir.path);
      const own = ownGenerator(generator, caFile, seconds);
      const token = readFileSync(readerToken, "utf8").trim();
      const results = await measure(context, "own generator", servers, own, {
        "GET of cold names": { method: "GET", names: allNames },
        "GET with a token": { method: "GET", token },
      });
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
  await fill(store, allNames / bindingsPerHost);
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
  return async ({ origin, pid }, { method, names = hotNames, token }) => {
    const path = token === undefined ? dohPath : `/t/${token}${dohPath}`;
    const load = { origin, caFile, path, method, names, sessions, inFlight, seconds };
    const before = cpuSeconds(pid);
    const run = await generator.ask("run", load);
    return roundOf(run.answers, run.seconds, cpuSeconds(pid) - before);
  };
}

/** It counts requests rather than time, so that CPU time can be divided by them; as many as take about `seconds`. */
function h2loadGenerator(dir: string, place: Placement, known: Result[], seconds: number): Generator {
  return async ({ origin, pid }, { method }) => {
    const perSecond =
      known.find(({ what, unit }) => unit === "1/s" && what.startsWith(`${method},`))?.summary.median ?? 0;
    const requests = Math.max(1_000, Math.round(perSecond * seconds));
    const before = cpuSeconds(pid);
    const rate = await runH2load(
      { origin, method, names: hotNames, sessions, inFlight, requests, dir },
      place,
    );
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
  more: Record<string, Questions> = {},
): Promise<Result[]> {
  context.say(by);
  const kinds: Record<string, Questions> = { GET: { method: "GET" }, POST: { method: "POST" }, ...more };
  const side = (server: Server, questions: Questions) => () => generate(server, questions);
  const sides = Object.fromEntries([
    ...Object.entries(kinds).map(([kind, questions]) => [kind, side(resolver, questions)]),
    ...floorMethods.map((method) => [`floor ${method}`, side(floor, { method })]),
  ]);
  const taken = await interleave<string, Round>(sides, { warmUp: 1, counted: context.quick ? 3 : 5 });
  return Object.entries(kinds).flatMap(([kind, { method }]) =>
    rowsOf(`${kind}, ${by}`, taken[kind] ?? [], taken[`floor ${method}`] ?? [], kind === method),
  );
}

function rowsOf(what: string, resolver: Round[], floor: Round[], showFloor: boolean): Result[] {
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
    ...(showFloor
      ? [{ what: `floor: ${what}`, unit: "1/s", summary: summarize(rates(floor)), note: coreNote(floor) }]
      : []),
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
