import { seededRandom } from "../../client/testing/random.ts";

/** A stream of octets, how it is cut, and how it ends. The same `seed` and `index` make the same one. */
export interface Case {
  seed: number;
  index: number;
  bytes: Uint8Array;
  /** Where one chunk ends and the next begins, ascending. */
  cuts: readonly number[];
  ending: Ending;
}

/** `half-close` ends the client's direction behind the last chunk, `reset` breaks off there, `wait` leaves the end to the server. */
export type Ending = "half-close" | "reset" | "wait";

/** What cases are made of. */
export interface Material {
  /** Whole streams of well-behaved clients. */
  originals: readonly Uint8Array[];
  /** What is put between the octets of these, for what random octets would never come to say. */
  pieces: readonly Uint8Array[];
  /** The part of the streams that stays whole: what is right has to go on being served in between. */
  whole: number;
}

type Random = () => number;

/** Octets that mean something somewhere: versions, commands, types, lengths, line ends. */
const telling = [0, 1, 2, 3, 4, 5, 0x0a, 0x0d, 0x20, 0x2e, 0x3a, 0x41, 0x7f, 0x80, 0xf0, 0xf1, 0xff];
const longest = 70_000;

export function caseOf(seed: number, index: number, material: Material): Case {
  // Two numbers into one: neighbours must not be alike.
  const random = seededRandom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35));
  let bytes = pick(random, material.originals);
  const times = random() < material.whole ? 0 : 1 + Math.floor(random() ** 2 * 4);
  for (let time = 0; time < times; time++) bytes = mutated(random, bytes, material);
  const ending = pick(random, ["half-close", "half-close", "reset", "wait"] as const);
  return { seed, index, bytes, cuts: cutsOf(random, bytes.length), ending };
}

export function chunksOf({ bytes, cuts }: Case): Uint8Array[] {
  const edges = [0, ...cuts, bytes.length];
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
}

/** What a person needs to see it again. */
export function describeCase({ seed, index, bytes, cuts, ending }: Case): string {
  const where = cuts.length === 0 ? "in one piece" : `cut at ${cuts.slice(0, 40).join(", ")}`;
  const hex = Buffer.from(bytes.subarray(0, 2_000)).toString("hex");
  return `seed ${seed}, case ${index}, ${bytes.length} octets ${where}, then ${ending}: ${hex}`;
}

function mutated(random: Random, bytes: Uint8Array, { originals, pieces }: Material): Uint8Array {
  const at = Math.floor(random() * (bytes.length + 1));
  const end = Math.min(bytes.length, at + Math.floor(random() * 20));
  const [before, middle, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
  switch (Math.floor(random() * 10)) {
    case 0:
      return withOctet(bytes, at, (octet) => octet ^ (1 << Math.floor(random() * 8)));
    case 1:
      return withOctet(bytes, at, () => pick(random, telling));
    // Versions, counts, lengths and types stand at the front.
    case 2:
      return withOctet(bytes, Math.floor(random() * 12), () => Math.floor(random() * 256));
    case 3:
      return before;
    case 4:
      return together(before, after);
    case 5: {
      const isPiece = pieces.length > 0 && random() < 0.8;
      const put = isPiece ? pick(random, pieces) : randomOctets(random, Math.floor(random() * 30));
      return together(before, put, after);
    }
    case 6:
      return together(before, middle, middle, after);
    case 7: {
      const other = pick(random, originals);
      return together(before, other.subarray(Math.floor(random() * other.length)));
    }
    case 8:
      return together(pick(random, originals), bytes);
    default:
      // Rare, as it costs as much as many others.
      return random() < 0.02 ? together(bytes, randomOctets(random, Math.floor(random() * longest))) : before;
  }
}

function cutsOf(random: Random, length: number): number[] {
  const manner = random();
  if (manner < 0.25 || length < 2) return [];
  if (manner < 0.4 && length < 300) return Array.from({ length: length - 1 }, (_, i) => i + 1);
  const cuts = Array.from(
    { length: 1 + Math.floor(random() * 8) },
    () => 1 + Math.floor(random() * (length - 1)),
  );
  return [...new Set(cuts)].sort((a, b) => a - b);
}

function withOctet(bytes: Uint8Array, at: number, change: (octet: number) => number): Uint8Array {
  const changed = new Uint8Array(bytes);
  if (at < changed.length) changed[at] = change(changed[at] ?? 0);
  return changed;
}

function randomOctets(random: Random, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  for (let i = 0; i < length; i++) octets[i] = random() * 256;
  return octets;
}

function together(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(
    Math.min(
      longest,
      parts.reduce((sum, { length }) => sum + length, 0),
    ),
  );
  let at = 0;
  for (const part of parts) {
    const kept = part.subarray(0, whole.length - at);
    whole.set(kept, at);
    at += kept.length;
  }
  return whole;
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}
