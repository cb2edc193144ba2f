import { EventEmitter } from "node:events";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { queryObjects, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { HttpClient } from "../../socks-proxy/http/http-client.ts";
import { ServedConnection } from "../../socks-proxy/served-connection.ts";

/**
 * What a connection is made of; sockets, streams and messages are all emitters. One that is over leaves none of it behind, however
 * little memory that would be. Each kind costs a walk through the heap.
 */
const kinds = { ServedConnection, HttpClient, EventEmitter };

/** Of each kind that many more may live than before: the last ones of everything, and connections to the resolver. */
const mostMore = 16;
const mostTries = 40;

export type LiveObjects = Readonly<Record<string, number>>;

/** How many objects of each kind live, after a collection of garbage. */
export function liveObjects(): LiveObjects {
  // It gives the number, not what its type says.
  const counts = Object.entries(kinds).map(([name, kind]) => [
    name,
    Number(queryObjects(kind, { format: "count" })),
  ]);
  return Object.fromEntries(counts) as LiveObjects;
}

/** Resolves when no more objects live than `before`, but for a few. Throws when that does not come. */
export async function liveObjectsBackTo(before: LiveObjects): Promise<LiveObjects> {
  for (let tries = 1; ; tries++) {
    const now = liveObjects();
    const more = Object.entries(now).filter(([name, count]) => count > (before[name] ?? 0) + mostMore);
    if (more.length === 0) return now;
    if (tries === mostTries) {
      const listed = more.map(([name, count]) => `${count} of ${name}, ${before[name]} before`);
      throw new Error(`connections that are over are not given back: ${listed.join("; ")}`);
    }
    await sleep(50);
  }
}

export async function settledDescriptors(): Promise<number> {
  await sleep(50);
  return openDescriptors();
}

/** Those of the resolver's connections may differ by the few that are kept open. */
export async function descriptorsBackTo(base: number): Promise<number> {
  const kept = 8;
  for (let tries = 0; tries < 300; tries++) {
    const now = openDescriptors();
    if (now <= base + kept) return now;
    await sleep(50);
  }
  throw new Error(`${openDescriptors()} descriptors are open, ${base} were before`);
}

/** MiB, after a collection of garbage. */
export function heapAfterCollection(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return Math.round((heapUsed + external) / 2 ** 18) / 4;
}

/** Throws when the heap grew by more than what is compiled and remembered once, and for each connection what no object fits into. */
export function assertNoGrowth(heapMiB: readonly number[], connections: number): void {
  const growth = (heapMiB.at(-1) ?? 0) - (heapMiB[0] ?? 0);
  const mostGrowth = onceMiB + (connections * mostOctetsEach) / 2 ** 20;
  if (growth > mostGrowth) throw new Error(`the heap grew by ${growth} MiB: ${heapMiB.join(", ")}`);
}

const onceMiB = 3;
const mostOctetsEach = 64;

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
