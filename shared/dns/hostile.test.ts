import codec from "dns-packet";
import { describe, expect, onTestFinished, test } from "vitest";

import { BerthError } from "../errors.ts";
import { decodeQuery, decodeResponse, encodeResponse } from "./message.ts";
import { readMessageStart } from "./question.ts";

/** mulberry32: the same octets on every machine and every run. */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

const opt = { type: "OPT", name: ".", udpPayloadSize: 1232, extendedRcode: 0, ednsVersion: 0, flags: 0x8000 };
const templates = [
  codec.encode({
    type: "query",
    questions: [{ name: "_80._tcp.web.berth.internal", type: "SRV" }],
    additionals: [{ ...opt, options: [{ code: 12, data: Buffer.alloc(9) }] } as unknown as codec.Answer],
  }),
  codec.encode({
    type: "response",
    questions: [{ name: "web.test", type: "A" }],
    answers: [
      { name: "web.test", type: "A", ttl: 5, data: "10.0.0.5" },
      { name: "web.test", type: "AAAA", ttl: 5, data: "2001:db8::5" },
      { name: "web.test", type: "SRV", ttl: 5, data: { port: 80, target: "nas.test" } },
      { name: "web.test", type: "TXT", ttl: 5, data: ["a", "b"] },
      { name: "web.test", type: "NS", ttl: 5, data: "ns.test" },
    ],
    authorities: [
      {
        name: "test",
        type: "SOA",
        ttl: 5,
        data: { mname: "ns.test", rname: "hm.test", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 },
      },
    ],
  }),
];

function mutated(random: (below: number) => number): Uint8Array {
  const template = templates[random(templates.length)] ?? Buffer.alloc(0);
  const bytes = Buffer.from(template);
  for (let change = random(5); change >= 0; change--) {
    const at = random(bytes.length);
    // Lengths, counts and compression pointers are where decoders fall.
    bytes[at] = [0, 0xff, 0xc0, 0x40, 1, random(256)][random(6)] ?? 0;
  }
  return bytes.subarray(0, random(8) === 0 ? random(bytes.length) : bytes.length);
}

function randomOctets(random: (below: number) => number): Uint8Array {
  return Uint8Array.from({ length: random(80) }, () => random(256));
}

/** Runs `decode`, and rethrows whatever is not the one fault it may throw. */
function outcomeOf<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (fault) {
    if (fault instanceof BerthError && fault.code === "malformed-message") return undefined;
    throw fault;
  }
}

test("50,000 random and mutated messages are decoded or malformed, and every query decoded can be answered", () => {
  // 100,000 stack traces that nobody reads are most of the time this takes.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  onTestFinished(() => {
    Error.stackTraceLimit = stackTraceLimit;
  });
  const random = seeded(2026);
  const seen = { queries: 0, responses: 0, malformed: 0 };
  for (let round = 0; round < 50_000; round++) {
    const bytes = round % 3 === 0 ? randomOctets(random) : mutated(random);
    const query = outcomeOf(() => decodeQuery(bytes));
    const response = outcomeOf(() => decodeResponse(bytes));
    if (query !== undefined) {
      seen.queries++;
      const parts = { rcode: 1, authoritative: false, answer: [], authority: [], additional: [] };
      const answer = encodeResponse(query, parts);
      expect(readMessageStart(answer)).toMatchObject({
        id: query.id,
        isResponse: true,
        opcode: query.opcode,
      });
    }
    if (response !== undefined) seen.responses++;
    if (query === undefined && response === undefined) seen.malformed++;
  }
  // All three kinds were met, or the test tests nothing.
  for (const [kind, count] of Object.entries(seen)) expect(count, kind).toBeGreaterThan(1000);
});

describe("a message made to cost time", () => {
  function header(counts: number[]): Buffer {
    const bytes = Buffer.alloc(12);
    counts.forEach((count, i) => void bytes.writeUInt16BE(count, 4 + 2 * i));
    return bytes;
  }
  const longName = Buffer.concat([
    ...Array.from({ length: 127 }, () => Buffer.from([1, 0x61])),
    Buffer.from([0]),
  ]);
  const question = Buffer.concat([longName, Buffer.from([0, 1, 0, 1])]);

  test("by 5,000 records that point at a long name is no more than 5,000 records", () => {
    const record = Buffer.from([0xc0, 12, 0, 2, 0, 1, 0, 0, 0, 0, 0, 2, 0xc0, 12]);
    const bytes = Buffer.concat([header([1, 4500, 0, 0]), question, ...Array(4500).fill(record)]);
    bytes[2] = 0x80;
    expect(decodeResponse(bytes).answer).toHaveLength(4500);
  });

  test.each([
    ["points at itself", [0xc0, 12]],
    ["points forward", [0xc0, 40]],
    ["points at a pointer that points back", [0xc0, 14, 0xc0, 12]],
    ["is of an obsolete label kind", [0x41, 0x61, 0]],
  ])("by a name that %s is malformed", (_, name) => {
    const bytes = Buffer.concat([header([1, 0, 0, 0]), Buffer.from(name), Buffer.from([0, 1, 0, 1])]);
    expect(() => decodeQuery(bytes)).toThrow(expect.objectContaining({ code: "malformed-message" }));
  });

  test("by a record's name that runs in circles is malformed", () => {
    const circle = Buffer.from([1, 0x61, 0xc0, 17, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    const bytes = Buffer.concat([header([1, 1, 0, 0]), Buffer.from([0, 0, 1, 0, 1]), circle]);
    expect(() => decodeQuery(bytes)).toThrow(expect.objectContaining({ code: "malformed-message" }));
  });

  test("by thousands of records that are there is refused as a query before they are read", () => {
    const record = Buffer.from([0xc0, 12, 0, 2, 0, 1, 0, 0, 0, 0, 0, 2, 0xc0, 12]);
    const bytes = Buffer.concat([header([1, 0, 0, 4500]), question, ...Array(4500).fill(record)]);
    expect(() => decodeQuery(bytes)).toThrow(/more records than a query has/);
  });

  test("by 65,535 records that are not there is malformed", () => {
    const bytes = Buffer.concat([header([1, 65_535, 65_535, 65_535]), question]);
    expect(() => decodeQuery(bytes)).toThrow(expect.objectContaining({ code: "malformed-message" }));
  });
});
