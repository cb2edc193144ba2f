import { setTimeout as sleep } from "node:timers/promises";

import type { Bar } from "../bar.ts";
import type { Bench, Context, Result } from "../bench.ts";
import { resolverUrl } from "../berth.ts";
import { connections, type Fleet, startFleet, whyNoFleet } from "../fleet.ts";
import { coreShares, cpuSeconds, peakMemory } from "../machine.ts";
import { summarize } from "../measure.ts";
import { type Program, startProgram } from "../program.ts";
import type { ProbeOrders } from "../programs/doh-probe.ts";
import { bindingsPerHost } from "../registry.ts";
import { withUndo } from "../undo.ts";

type Probe = Program<ProbeOrders>;

/** Seconds. Renewed four times more often than needed: a busy machine must not make a host lapse before its turn in the bench. */
const lease = 60;
/** A third of the lease an agent asks for. */
const renewalSeconds = 5;
/** Long enough to give it to all hosts before the first of them loses it. */
const lastLease = 12;

/** Of renewals. */
const halfCore: Bar[] = [{ of: "median", atMost: 50 }];

export const fleet: Bench = {
  name: "fleet",
  about: `1,000 hosts (quick: 100) of ${bindingsPerHost} containers with one binding each, every host with a key of its own, on one resolver over https: registration from empty, renewals every ${renewalSeconds} s, changes, and many hosts that fall silent together`,
  whyNot: whyNoFleet,
  run: (context) =>
    withUndo(async (later) => {
      const hosts = context.quick ? 100 : 1_000;
      context.say(`making ${hosts} hosts`);
      const started = await startFleet(hosts, later);
      const probe = startProgram<ProbeOrders>("doh-probe.ts", started.beside);
      later(() => probe.stop());
      await probe.ask("open", { origin: resolverUrl, caFile: started.files.caFile });
      return [
        ...(await register(context, started, hosts)),
        ...(await renew(context, started, hosts)),
        ...(await change(context, started)),
        ...(await renewByLink(context, started, hosts)),
        ...(await lapse(context, started, probe, { from: 0, to: hosts / 10 })),
        ...(await lapse(context, started, probe, { from: hosts / 10, to: hosts })),
      ];
    }),
};

async function register(context: Context, { pid, load }: Fleet, hosts: number): Promise<Result[]> {
  await load.ask("signPushes", { lease });
  context.say("registering");
  const before = cpuSeconds(pid);
  const { seconds, ms } = await load.ask("sendAll", { connections });
  const cpu = cpuSeconds(pid) - before;
  const note = `${connections} at a time; ${((cpu * 1000) / hosts).toFixed(1)} ms of CPU each`;
  return [
    {
      what: `${hosts} hosts register`,
      unit: "s",
      summary: summarize([seconds]),
      bars: [{ of: "median", atMost: 20 }],
    },
    { what: "resolver's CPU meanwhile", unit: "s", summary: summarize([cpu]) },
    { what: `push of ${bindingsPerHost} bindings meanwhile`, unit: "ms", summary: summarize(ms), note },
    {
      what: "resolver's memory, at most until then",
      unit: "MiB",
      summary: summarize([peakMemory(pid)]),
      note: "all of it, of which some 100 MiB are Node and berth with an empty registry",
    },
  ];
}

/** Over connections that are kept, and over one for each request, as of agents whose server hangs up between two renewals. */
async function renew(context: Context, started: Fleet, hosts: number): Promise<Result[]> {
  const { pid, load } = started;
  const perSecond = hosts / renewalSeconds;
  const results: Result[] = [];
  for (const keepAlive of [true, false]) {
    const count = perSecond * (context.quick ? 5 : keepAlive ? 20 : 10);
    await load.ask("signRenewals", { from: 0, count, lease });
    const how = keepAlive ? `over ${connections} kept connections` : "over a connection each";
    context.say(`renewing ${how}`);
    const sent = load.ask("sendPaced", { perSecond, connections, keepAlive });
    results.push(...(await rowsOf(`renewals ${how}, ${perSecond}/s`, pid, sent, halfCore)));
  }
  return results;
}

async function change(context: Context, { pid, load }: Fleet): Promise<Result[]> {
  const perSecond = 20;
  const count = context.quick ? 60 : 200;
  await load.ask("signChanges", { count, lease });
  context.say("changing one binding at a time");
  const sent = load.ask("sendPaced", { perSecond, connections, keepAlive: true });
  return rowsOf(`deltas of one changed binding, ${perSecond}/s`, pid, sent, []);
}

async function renewByLink(context: Context, { pid, load }: Fleet, hosts: number): Promise<Result[]> {
  context.say("opening links");
  const before = cpuSeconds(pid);
  const opened = await load.ask("openLinks", { lease, atOnce: connections });
  const each = ((cpuSeconds(pid) - before) * 1000) / hosts;
  const perSecond = hosts / renewalSeconds;
  context.say("pinging");
  const pinged = load.ask("pingPaced", { count: perSecond * (context.quick ? 5 : 20), perSecond });
  const pings = await rowsOf(`pings on ${hosts} links, ${perSecond}/s`, pid, pinged, halfCore);
  return [
    {
      what: `opening a link, ${connections} at a time`,
      unit: "ms",
      summary: summarize(opened.ms),
      note: `TLS and upgrade; ${each.toFixed(1)} ms of CPU each`,
    },
    ...pings,
  ];
}

/** The resolver's part while all of `sent` is answered, and how long each reply took. */
async function rowsOf(
  what: string,
  pid: number,
  sent: Promise<{ ms: number[] }>,
  bars: Bar[],
): Promise<Result[]> {
  const before = cpuSeconds(pid);
  const shares = await coreShares(pid, sent);
  const { ms } = await sent;
  const each = ((cpuSeconds(pid) - before) * 1000) / ms.length;
  const percents = shares.map((share) => share * 100);
  const note = `${each.toFixed(2)} ms of CPU each`;
  return [
    { what: `resolver's core, ${what}`, unit: "%", summary: summarize(percents), bars, note },
    { what: `reply, ${what}`, unit: "ms", summary: summarize(ms) },
  ];
}

/** The hosts' leases end in the same moment, and a lookup every few milliseconds tells how long the resolver was busy with that. */
async function lapse(
  context: Context,
  { load }: Fleet,
  probe: Probe,
  { from, to }: { from: number; to: number },
): Promise<Result[]> {
  const what = `${to - from} hosts lapse together`;
  await load.ask("signRenewals", { from, count: to - from, lease: lastLease });
  await load.ask("sendAll", { connections });
  await load.ask("fallSilent", { from, to });
  const names = [from, to - 1].map((host) => host * bindingsPerHost);
  if ((await probe.ask("count", { names })) !== names.length) throw new Error("a host lapsed too early");
  context.say(what);
  // Of those hosts: what is asked about is answered for, or not, by the rules of a lapse.
  await probe.ask("begin", { from: from * bindingsPerHost, to: to * bindingsPerHost });
  // By then a lease is over for a second, and what is left to be done is done.
  await sleep((lastLease + (context.quick ? 2 : 6)) * 1000);
  const ms = await probe.ask("end");
  if ((await probe.ask("count", { names })) > 0) throw new Error("a host did not lapse");
  return [{ what: `a lookup while ${what}`, unit: "ms", summary: summarize(ms) }];
}
