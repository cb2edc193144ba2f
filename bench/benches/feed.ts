import { setTimeout as sleep } from "node:timers/promises";

import type { Bench, Context, Result } from "../bench.ts";
import { resolverUrl } from "../berth.ts";
import { connections, type Fleet, startFleet, whyNoFleet } from "../fleet.ts";
import { cpuSeconds } from "../machine.ts";
import { interleave, ratio, summarize } from "../measure.ts";
import { type Program, startProgram } from "../program.ts";
import type { ReaderOrders } from "../programs/feed-readers.ts";
import { bindingsPerHost } from "../registry.ts";
import { withUndo } from "../undo.ts";

const hosts = 100;
const readers = 100;
const perSecond = 10;
const lease = 600;

interface Round {
  /** What the resolver's process used while the pushes came, in ms. */
  cpuMs: number;
  /** The same as a share of one core. */
  share: number;
  /** What it used before, until every reader had its snapshot. */
  snapshotsMs: number;
  /** Heard by all readers together. */
  events: number;
}

export const feed: Bench = {
  name: "feed",
  about: `${readers} readers of /v1/changes on a registry of ${hosts * bindingsPerHost} bindings while ${perSecond} pushes a second change one binding each, against the same pushes without a reader`,
  whyNot: whyNoFleet,
  run: (context) =>
    withUndo(async (later) => {
      const started = await startFleet(hosts, later);
      const reading = startProgram<ReaderOrders>("feed-readers.ts", started.beside);
      later(() => reading.stop());
      await started.load.ask("signPushes", { lease });
      await started.load.ask("sendAll", { connections });
      return await measure(context, started, reading);
    }),
};

async function measure(context: Context, started: Fleet, reading: Program<ReaderOrders>): Promise<Result[]> {
  const seconds = context.quick ? 3 : 5;
  context.say(`${seconds} s of pushes with and without ${readers} readers`);
  const sides = {
    alone: () => push(started, seconds),
    followed: () => pushFollowed(started, reading, seconds),
  };
  const taken = await interleave(sides, { warmUp: 1, counted: context.quick ? 2 : 3 });
  const percents = (rounds: Round[]) => rounds.map(({ share }) => share * 100);
  const beyond = taken.followed.map(({ cpuMs, events }, round) => {
    return ((cpuMs - (taken.alone[round]?.cpuMs ?? Number.NaN)) * 1000) / events;
  });
  const snapshots = taken.followed.map(({ snapshotsMs }) => snapshotsMs / readers);
  return [
    { what: "resolver's core, no reader", unit: "%", summary: summarize(percents(taken.alone)) },
    {
      what: `resolver's core, ${readers} readers`,
      unit: "%",
      summary: summarize(percents(taken.followed)),
      ratio: { to: "that without a reader", summary: ratio(percents(taken.followed), percents(taken.alone)) },
    },
    {
      what: "CPU per event and reader",
      unit: "µs",
      summary: summarize(beyond),
      note: "beyond that of the push",
    },
    {
      what: "CPU per reader that begins",
      unit: "ms",
      summary: summarize(snapshots),
      note: `TLS, and a snapshot of ${hosts * bindingsPerHost} names that all share`,
    },
  ];
}

async function push({ pid, load }: Fleet, seconds: number): Promise<Round> {
  await load.ask("signChanges", { count: seconds * perSecond, lease });
  const [startedAt, before] = [performance.now(), cpuSeconds(pid)];
  await load.ask("sendPaced", { perSecond, connections, keepAlive: true });
  // Changes that come together are told together, a tenth of a second later at most.
  await sleep(300);
  const cpuMs = (cpuSeconds(pid) - before) * 1000;
  return { cpuMs, share: cpuMs / (performance.now() - startedAt), snapshotsMs: 0, events: 0 };
}

async function pushFollowed(started: Fleet, reading: Program<ReaderOrders>, seconds: number): Promise<Round> {
  const { caFile, readerToken: tokenFile } = started.files;
  const before = cpuSeconds(started.pid);
  await reading.ask("follow", { origin: resolverUrl, caFile, tokenFile, count: readers });
  const snapshotsMs = (cpuSeconds(started.pid) - before) * 1000;
  const pushed = await push(started, seconds);
  const { events, fewest, isSame } = await reading.ask("heard");
  await reading.ask("leave");
  if (fewest === 0 || !isSame) throw new Error(`not all readers heard the last change (${fewest} at least)`);
  return { ...pushed, snapshotsMs, events };
}
