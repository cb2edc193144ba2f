import { deepStrictEqual } from "node:assert";

import { Handshake, type HandshakeOutcome, type Users } from "../../socks-proxy/socks/handshake.ts";
import { parseMethods, parseRequest } from "../../socks-proxy/socks/wire.ts";
import { parseCredentials } from "../../socks-proxy/socks/wire-authentication.ts";
import { parseDatagram } from "../../socks-proxy/socks/wire-datagram.ts";
import { parseSocks4Request } from "../../socks-proxy/socks/wire-socks4.ts";
import { type Case, caseOf, chunksOf, describeCase } from "./cases.ts";
import { datagrams, exchanges } from "./exchanges.ts";

export const users: Users = {
  verify: (name, password) =>
    `${Buffer.from(name)}:${Buffer.from(password)}` === "me:secret" ? "me" : undefined,
};
const parsers = [parseMethods, parseRequest, parseSocks4Request, parseCredentials] as const;
/** Whatever a hand-shake says to a client is a few short messages. */
const longestSaid = 64;

/** How many cases came to what. */
export type Tally = Map<string, number>;

/** Puts `count` cases through the pure code. Throws on the first that breaks a promise, with the case in its message. */
export function fuzzPure(seed: number, count: number): Tally {
  const tally: Tally = new Map();
  for (let index = 0; index < count; index++) {
    const tried = caseOf(seed, index, index % 8 === 0 ? datagrams : exchanges);
    try {
      const outcome = tryCase(tried);
      tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
    } catch (cause) {
      throw new Error(describeCase(tried), { cause });
    }
  }
  return tally;
}

function tryCase(tried: Case): string {
  for (const parse of parsers) tryParser(parse, tried.bytes);
  parseDatagram(tried.bytes);
  const known = tried.index % 2 === 0 ? users : undefined;
  const atOnce = shake([tried.bytes], known);
  const inChunks = shake(chunksOf(tried), known);
  // TCP has no messages: how the octets were cut must make no difference to what is said and done.
  deepStrictEqual(inChunks, atOnce);
  if (atOnce.said.length > longestSaid) throw new Error(`${atOnce.said.length} octets were said`);
  return atOnce.outcome?.kind ?? "incomplete";
}

interface Shaken {
  said: number[];
  outcome: HandshakeOutcome | undefined;
  /** Octets of the stream that belong to the hand-shake. */
  used: number;
}

function shake(chunks: readonly Uint8Array[], known: Users | undefined): Shaken {
  const handshake = new Handshake(known);
  const said: number[] = [];
  let fed = 0;
  for (const chunk of chunks) {
    fed += chunk.length;
    const { send, outcome } = handshake.read(chunk);
    said.push(...send);
    if (outcome === undefined) continue;
    const isEarlyGiven = "early" in outcome;
    const used = isEarlyGiven ? fed - outcome.early.length : 0;
    return { said, outcome: isEarlyGiven ? { ...outcome, early: new Uint8Array(0) } : outcome, used };
  }
  return { said, outcome: undefined, used: fed };
}

/** A value is made of the octets it says, and of no others. */
function tryParser(parse: (bytes: Uint8Array) => { kind: string; length?: number }, bytes: Uint8Array): void {
  const parsed = parse(bytes);
  const { length } = parsed;
  if (length === undefined) return;
  if (length > bytes.length) throw new Error(`${parse.name} claims ${length} of ${bytes.length} octets`);
  deepStrictEqual(parse(bytes.subarray(0, length)), parsed);
  const shorter = parse(bytes.subarray(0, length - 1));
  if (shorter.kind !== "incomplete") throw new Error(`${parse.name} makes ${shorter.kind} of one octet less`);
}
