import { fuzzHttp } from "./http.ts";
import { assertNoGrowth, heapAfterCollection, liveObjects, liveObjectsBackTo } from "./leftovers.ts";
import { fuzzPure, type Tally } from "./pure.ts";
import { fuzzSockets, type SocketsResult } from "./sockets.ts";

/** Of all cases, one in this many goes through real sockets, some thousands at most: they cost a thousand times as much. */
const oneInSockets = 100;
const mostInSockets = 5_000;
/** Of the others, one in this many is one of HTTP. */
const oneInHttp = 3;

export interface FuzzResult {
  pure: { count: number; tally: Tally };
  http: { count: number; tally: Tally; heapMiB: number[] };
  sockets: SocketsResult;
}

/** Throws on the first case that breaks a promise; the message says how to run the same again, the cause which case it was. */
export async function fuzz(seed: number, count: number): Promise<FuzzResult> {
  const throughSockets = Math.min(mostInSockets, Math.ceil(count / oneInSockets));
  const throughHttp = Math.floor((count - throughSockets) / oneInHttp);
  const pureCount = count - throughSockets - throughHttp;
  try {
    const tally = fuzzPure(seed, pureCount);
    const http = await massOfHttp(seed, throughHttp);
    // Others than those before.
    const sockets = await fuzzSockets(seed + 1, throughSockets);
    return { pure: { count: pureCount, tally }, http, sockets };
  } catch (cause) {
    const text = `${cause instanceof Error ? cause.message : cause}`.slice(0, 200);
    throw new Error(`npm run fuzz -- --seed ${seed} --count ${count} shows it again: ${text}`, { cause });
  }
}

async function massOfHttp(seed: number, count: number): Promise<FuzzResult["http"]> {
  const tally: Tally = new Map();
  // What is compiled and remembered once is there after a third of them.
  const warm = Math.floor(count / 3);
  await fuzzHttp(seed, 0, warm, tally);
  const [before, heap] = [liveObjects(), heapAfterCollection()];
  await fuzzHttp(seed, warm, count, tally);
  await liveObjectsBackTo(before);
  const heapMiB = [heap, heapAfterCollection()];
  assertNoGrowth(heapMiB, count - warm);
  return { count, tally, heapMiB };
}
