import { setTimeout as sleep } from "node:timers/promises";

import { programPath } from "../../test/testbed/requirements.ts";
import type { Bar } from "../bar.ts";
import type { Bench, Context, Result } from "../bench.ts";
import { interleave, median, ratio, summarize } from "../measure.ts";
import { treeCpuSeconds, treeMemory } from "../process-tree.ts";
import {
  type Route,
  type SocksParts,
  type SocksServer,
  startSocksParts,
  targetPorts,
} from "../socks-parts.ts";
import { withUndo } from "../undo.ts";

const atOnce = 16;
const idleConnections = 1_000;
const sizes = {
  full: { rounds: 5, connects: 4_000, warmUp: 20_000, bulkBytes: 2 ** 30, latencies: 1_000 },
  quick: { rounds: 3, connects: 2_000, warmUp: 10_000, bulkBytes: 2 ** 28, latencies: 300 },
};

export const socks: Bench = {
  name: "socks",
  about: `Through the SOCKS5 proxy, through microsocks and dante, and directly, in a network namespace without connection tracking: ${idleConnections} idle connections, connections of ${atOnce} at a time until the target's byte and end, what a cached name adds to a literal address, and bulk data over 1 and 8 connections; proxies on one core, client, target and resolver on the other`,
  whyNot() {
    if (process.getuid?.() !== 0) return "it needs root, for a network namespace without connection tracking";
    const wanted = { ip: "iproute2", ss: "iproute2", python3: "python3" };
    const missing = Object.entries(wanted).find(([program]) => programPath(program) === undefined);
    return missing === undefined ? undefined : `it needs ${missing[0]}, of Debian's ${missing[1]}`;
  },
  run: (context) =>
    withUndo(async (later) => {
      const parts = await startSocksParts(later);
      for (const reason of parts.missing) context.say(reason);
      return [
        // First, while none of them has memory left over from anything else.
        ...(await idleMemory(context, parts)),
        ...(await connects(context, parts)),
        ...(await nameCost(context, parts)),
        ...(await bulk(context, parts, "down", 1)),
        ...(await bulk(context, parts, "up", 1)),
        ...(await bulk(context, parts, "down", 8)),
        ...(await bulk(context, parts, "up", 8)),
      ];
    }),
};

async function idleMemory(
  context: Context,
  { client, berth, rivals, missing }: SocksParts,
): Promise<Result[]> {
  context.say("memory");
  const rows: Result[] = [];
  for (const proxy of [berth, ...rivals]) {
    const before = treeMemory(proxy.pid);
    await client.ask("hold", {
      route: { proxy: proxy.port, port: targetPorts.silent },
      count: idleConnections,
    });
    await sleep(context.quick ? 2_000 : 6_000);
    const grown = treeMemory(proxy.pid) - before;
    await client.ask("let", {});
    const what = `memory of ${idleConnections} idle connections, ${proxy.name}`;
    const note = [`${before.toFixed(0)} MiB without any (PSS)`, ...(proxy === berth ? missing : [])].join(
      "; ",
    );
    const bars: Bar[] = proxy === berth ? [{ of: "median", atMost: 36 }] : [];
    rows.push({ what, unit: "MiB", summary: summarize([grown]), bars, note });
  }
  return rows;
}

interface Round {
  rate: number;
  cpuSeconds: number;
}

async function connects(context: Context, parts: SocksParts): Promise<Result[]> {
  context.say("connects");
  const { client, berth, rivals, publishedName } = parts;
  const { rounds, connects: count, warmUp } = sizes[context.quick ? "quick" : "full"];
  const round = async (route: Route, proxy?: SocksServer): Promise<Round> => {
    const before = proxy === undefined ? 0 : treeCpuSeconds(proxy.pid);
    const rate = Number(await client.ask("connects", { route, count, atOnce }));
    const after = proxy === undefined ? 0 : treeCpuSeconds(proxy.pid);
    return { rate, cpuSeconds: (after - before) / count };
  };
  const literal: Route = { proxy: berth.port, port: targetPorts.greet };
  const byName: Route = { proxy: berth.port, port: 80, name: publishedName };
  // Node compiles what is used often, again and again: so many connections pass until it has come to an end.
  for (const route of [literal, byName]) await client.ask("connects", { route, count: warmUp / 2, atOnce });
  const sides: Record<string, () => Promise<Round>> = {
    direct: () => round({ port: targetPorts.greet }),
    "berth, literal address": () => round(literal, berth),
    "berth, cached name": () => round(byName, berth),
  };
  for (const proxy of rivals)
    sides[proxy.name] = () => round({ proxy: proxy.port, port: targetPorts.greet }, proxy);
  return rowsOf("connects", "1/s", await interleave(sides, { warmUp: 1, counted: rounds }), {
    against: ["berth, literal address", "berth, cached name"],
    to: { microsocks: 0.6, dante: 1.5, direct: undefined },
    judged: ["berth, literal address"],
    note: ({ cpuSeconds }) => `${(cpuSeconds * 1e6).toFixed(0)} µs of CPU each`,
  });
}

/** One connection at a time, by turns: what is left of the difference is the name. */
async function nameCost(context: Context, parts: SocksParts): Promise<Result[]> {
  const { client, berth, publishedName } = parts;
  const size = sizes[context.quick ? "quick" : "full"];
  const routes: Route[] = [
    { proxy: berth.port, port: targetPorts.greet },
    { proxy: berth.port, port: 80, name: publishedName },
  ];
  const differences: number[] = [];
  for (let round = 0; round < size.rounds; round++) {
    const [literal = [], byName = []] = (await client.ask("latencies", {
      routes,
      rounds: size.latencies,
    })) as number[][];
    differences.push(median(byName) - median(literal));
  }
  const note = `medians of ${size.latencies} connections each way`;
  return [
    {
      what: "a cached name over a literal address",
      unit: "µs",
      summary: summarize(differences),
      bars: [{ of: "median", atMost: 50 }],
      note,
    },
  ];
}

async function bulk(
  context: Context,
  { client, berth, rivals }: SocksParts,
  way: "down" | "up",
  connections: number,
): Promise<Result[]> {
  context.say(`bulk ${way}, ${connections} at once`);
  const { rounds, bulkBytes } = sizes[context.quick ? "quick" : "full"];
  const port = way === "down" ? targetPorts.source : targetPorts.sink;
  const round = async (proxy?: SocksServer): Promise<Round> => {
    const before = proxy === undefined ? 0 : treeCpuSeconds(proxy.pid);
    const route: Route = proxy === undefined ? { port } : { port, proxy: proxy.port };
    const order = { route, total: bulkBytes, connections, isUp: way === "up" };
    const seconds = Number(await client.ask("bulk", order));
    const after = proxy === undefined ? 0 : treeCpuSeconds(proxy.pid);
    return { rate: bulkBytes / 1e6 / seconds, cpuSeconds: (after - before) / (bulkBytes / 1e9) };
  };
  const sides: Record<string, () => Promise<Round>> = { direct: () => round() };
  for (const proxy of [berth, ...rivals]) sides[proxy.name] = () => round(proxy);
  const direction = way === "down" ? "target to client" : "client to target";
  const what = `bulk ${way} (${direction}), ${connections} ${connections === 1 ? "connection" : "connections"}`;
  const taken = await interleave(sides, { warmUp: 1, counted: rounds });
  const rows = rowsOf(what, "MB/s", taken, {
    against: ["berth"],
    to: { microsocks: 8, dante: 1.25, direct: undefined },
    judged: ["berth"],
    note: ({ cpuSeconds }) => `${cpuSeconds.toFixed(2)} CPU s/GB`,
  });
  const cpu = summarize((taken.berth ?? []).map(({ cpuSeconds }) => cpuSeconds));
  const bars: Bar[] = [{ of: "median", atMost: 0.5 }];
  return [...rows, { what: `CPU time of ${what}, berth`, unit: "s/GB", summary: cpu, bars }];
}

interface Comparison {
  /** The sides that are compared, each with each of `to` that is there. */
  against: readonly string[];
  /** What a ratio to it has to be at least, where it has a bar. */
  to: Readonly<Record<string, number | undefined>>;
  /** The sides that the bars are for. */
  judged: readonly string[];
  note: (middle: Round) => string;
}

/** A row for each side, and one more for each comparison after the first, since a row has room for one. */
function rowsOf(
  what: string,
  unit: string,
  taken: Record<string, Round[]>,
  { against, to, judged, note }: Comparison,
): Result[] {
  const rates = (side: string) => (taken[side] ?? []).map(({ rate }) => rate);
  return Object.keys(taken).flatMap((side) => {
    const summary = summarize(rates(side));
    const cpuSeconds = median((taken[side] ?? []).map((round) => round.cpuSeconds));
    const row: Result = { what: `${what}, ${side}`, unit, summary };
    if (side !== "direct") row.note = note({ rate: summary.median, cpuSeconds });
    if (!against.includes(side)) return [row];
    return Object.entries(to).map(([other, atLeast]) => ({
      ...row,
      // Without it the bar stands there as not judged.
      ...(taken[other] === undefined
        ? { what: `${row.what}, against ${other}` }
        : { ratio: { to: other, summary: ratio(rates(side), rates(other)) } }),
      bars: atLeast !== undefined && judged.includes(side) ? [{ of: "ratio", atLeast }] : [],
    }));
  });
}
