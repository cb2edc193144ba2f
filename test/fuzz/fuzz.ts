import { fuzzPure, type Tally } from "./pure.ts";
import { fuzzSockets, type SocketsResult } from "./sockets.ts";

/** Of all cases, one in this many goes through real sockets, some thousands at most: they cost a thousand times as much. */
const oneInSockets = 100;
const mostInSockets = 5_000;

export interface FuzzResult {
  pure: { count: number; tally: Tally };
  sockets: SocketsResult;
}

/** Throws on the first case that breaks a promise; the message has the seed, the case's number and its octets. */
export async function fuzz(seed: number, count: number): Promise<FuzzResult> {
  const throughSockets = Math.min(mostInSockets, Math.ceil(count / oneInSockets));
  const pureCount = count - throughSockets;
  const tally = fuzzPure(seed, pureCount);
  // Others than those before.
  const sockets = await fuzzSockets(seed + 1, throughSockets);
  return { pure: { count: pureCount, tally }, sockets };
}
