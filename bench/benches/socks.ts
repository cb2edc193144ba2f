import { displayName } from "../../shared/name.ts";
import { createNetns, randomSuffix } from "../../test/testbed/netns.ts";
import { programPath } from "../../test/testbed/requirements.ts";
import { makeTemporaryDir } from "../../test/testbed/temporary-dir.ts";
import type { Bench, Context, Result } from "../bench.ts";
import { resolverFiles, resolverUrl, startPart } from "../berth.ts";
import { cpuSeconds, separateCores } from "../machine.ts";
import { interleave, ratio, summarize } from "../measure.ts";
import { type Program, startProgram } from "../program.ts";
import { type Route, targetPorts } from "../programs/socks-dial.ts";
import type { ClientOrders } from "../programs/tcp-client.ts";
import type { TargetOrders } from "../programs/tcp-target.ts";
import { nameAt, openRegistry, publishLoopback } from "../registry.ts";
import { withUndo } from "../undo.ts";

const proxyPort = 1080;
const atOnce = 16;
const mebibyte = 2 ** 20;
const bulkBytes = { full: 512 * mebibyte, quick: 128 * mebibyte };

interface Parts {
  client: Program<ClientOrders>;
  proxyPid: number;
}

export const socks: Bench = {
  name: "socks",
  about: `Through the SOCKS5 proxy against directly, in a network namespace without connection tracking: connections of ${atOnce} at a time until the target's first byte, and ${bulkBytes.full / mebibyte} MiB (quick: ${bulkBytes.quick / mebibyte}) over one connection; proxy on one core, client, target and resolver on the other`,
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
      const beside = { netns: netns.name, core: cores?.load };
      const { database, caFile } = resolverFiles(dir.path);
      const store = openRegistry(database);
      await publishLoopback(store, 0, targetPorts.greet);
      store.close();
      const resolver = await startPart("resolver", { "state-dir": dir.path }, beside);
      later(() => resolver.stop());
      const proxyFlags = { listen: `127.0.0.1:${proxyPort}`, resolver: resolverUrl, ca: caFile };
      const proxy = await startPart("proxy", proxyFlags, { netns: netns.name, core: cores?.measured });
      later(() => proxy.stop());
      const target = startProgram<TargetOrders>("tcp-target.ts", beside);
      later(() => target.stop());
      const client = startProgram<ClientOrders>("tcp-client.ts", beside);
      later(() => client.stop());
      await target.ask("listen");
      const parts = { client, proxyPid: proxy.pid };
      return [...(await connects(context, parts)), ...(await bulk(context, parts))];
    }),
};

async function connects(context: Context, { client, proxyPid }: Parts): Promise<Result[]> {
  context.say("connects");
  // 18,000 in all: each leaves a port or two waiting (TIME_WAIT), and a namespace has 28,000.
  const count = context.quick ? 400 : 1_000;
  const name = displayName(nameAt(0));
  const round = async (route: Route) => {
    const before = cpuSeconds(proxyPid);
    const perSecond = await client.ask("connects", { route, count, atOnce });
    return { perSecond, cpuMicros: ((cpuSeconds(proxyPid) - before) * 1e6) / count };
  };
  const sides = {
    direct: () => round({ kind: "direct", port: targetPorts.greet }),
    address: () => round({ kind: "socks-address", proxyPort, port: targetPorts.greet }),
    name: () => round({ kind: "socks-name", proxyPort, name, port: 80 }),
  };
  const taken = await interleave(sides, { warmUp: 1, counted: context.quick ? 3 : 5 });
  const rates = (side: keyof typeof taken) => taken[side].map(({ perSecond }) => perSecond);
  const note = (side: keyof typeof taken) =>
    `proxy's CPU ${summarize(taken[side].map(({ cpuMicros }) => cpuMicros)).median.toFixed(0)} µs each`;
  const direct = { what: "connects, direct", unit: "1/s", summary: summarize(rates("direct")) };
  const through = (["address", "name"] as const).map((side) => ({
    what: side === "address" ? "connects by literal address" : "connects by in-zone name",
    unit: "1/s",
    summary: summarize(rates(side)),
    ratio: { to: "direct", summary: ratio(rates(side), rates("direct")) },
    note: note(side),
  }));
  return [direct, ...through];
}

async function bulk(context: Context, { client, proxyPid }: Parts): Promise<Result[]> {
  context.say("bulk");
  const bytes = context.quick ? bulkBytes.quick : bulkBytes.full;
  const round = async (direction: "down" | "up", route: Route) => {
    const before = cpuSeconds(proxyPid);
    const seconds = await client.ask(direction, { route, bytes });
    const gigabytes = bytes / 1e9;
    return {
      rate: (gigabytes * 1000) / seconds,
      cpuPerGigabyte: (cpuSeconds(proxyPid) - before) / gigabytes,
    };
  };
  const [from, to] = [targetPorts.source, targetPorts.sink];
  const sides = {
    directDown: () => round("down", { kind: "direct", port: from }),
    proxyDown: () => round("down", { kind: "socks-address", proxyPort, port: from }),
    directUp: () => round("up", { kind: "direct", port: to }),
    proxyUp: () => round("up", { kind: "socks-address", proxyPort, port: to }),
  };
  const taken = await interleave(sides, { warmUp: 1, counted: context.quick ? 2 : 5 });
  const rows = (way: string, direct: Bulk[], proxied: Bulk[]): Result[] => {
    const rates = (rounds: Bulk[]) => rounds.map(({ rate }) => rate);
    return [
      { what: `bulk ${way}, direct`, unit: "MB/s", summary: summarize(rates(direct)) },
      {
        what: `bulk ${way}, through the proxy`,
        unit: "MB/s",
        summary: summarize(rates(proxied)),
        ratio: { to: "direct", summary: ratio(rates(proxied), rates(direct)) },
      },
      {
        what: `proxy's CPU, bulk ${way}`,
        unit: "s/GB",
        summary: summarize(proxied.map(({ cpuPerGigabyte }) => cpuPerGigabyte)),
      },
    ];
  };
  return [
    ...rows("down (target to client)", taken.directDown, taken.proxyDown),
    ...rows("up (client to target)", taken.directUp, taken.proxyUp),
  ];
}

interface Bulk {
  /** Megabytes (10^6) a second. */
  rate: number;
  cpuPerGigabyte: number;
}
