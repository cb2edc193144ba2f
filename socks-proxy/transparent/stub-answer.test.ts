import { describe, expect, test } from "vitest";

import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { decodeQuery, decodeResponse, encodeQuery, type Query, type RR } from "../../shared/dns/message.ts";
import { readMessageStart } from "../../shared/dns/question.ts";
import { isInZone, type Name, parseName } from "../../shared/name.ts";
import { addressAt, hostPartOf, parseRange } from "./range.ts";
import {
  addressAnswer,
  encodeFitting,
  encodeFormErr,
  encodeRefusal,
  fitForwarded,
  negativeAnswer,
  planFor,
  positiveAnswer,
  reverseAnswer,
  udpLimitOf,
} from "./stub-answer.ts";
import { testSoa, testZone } from "./testing/fake-stub.ts";

const range = parseRange("127.64.0.0/10");
const web = parseName("web.shop.berth.internal");

function planOf(message: Uint8Array) {
  return planFor(
    readMessageStart(message),
    (name) => (isInZone(name as Name, testZone) ? testZone : undefined),
    (address) => hostPartOf(address, range) !== undefined,
  );
}

/** A query with octets of it set. */
function changed(name: Name, type: number, octets: Record<number, number>): Uint8Array {
  const message = Uint8Array.from(encodeQuery(name, type));
  for (const [at, octet] of Object.entries(octets)) message[Number(at)] = octet;
  return message;
}

/** With an OPT RR behind it: `size` octets at most, and a version. */
function withOpt(message: Uint8Array, size: number, version = 0): Uint8Array {
  const opt = [0, 0, RRType.OPT, size >> 8, size & 255, 0, version, 0, 0, 0, 0];
  const whole = Uint8Array.from([...message, ...opt]);
  whole[11] = 1;
  return whole;
}

describe("where an answer comes from", () => {
  test.each([
    ["web.shop.berth.internal", "service"],
    ["db.boxes.host.berth.internal", "service"],
    ["berth.internal", "zone-data"],
    ["ns.berth.internal", "zone-data"],
    ["host.berth.internal", "zone-data"],
    ["box.host.berth.internal", "zone-data"],
    ["a1.addr.box.host.berth.internal", "zone-data"],
    ["_tcp.web.shop.berth.internal", "zone-data"],
    ["_80._tcp.web.shop.berth.internal", "zone-data"],
    ["example.com", "forward"],
    ["notberth.internal", "forward"],
    ["9.9.9.9.in-addr.arpa", "forward"],
    ["5.0.64.127.in-addr.arpa", "reverse"],
  ])("for %s: %s", (name, kind) => {
    expect(planOf(encodeQuery(parseName(name), RRType.A)).kind).toBe(kind);
  });

  test("a name below the zone that nothing can have is absent, and is told to nobody else", () => {
    // *.berth.internal
    const message = Uint8Array.from(encodeQuery(parseName("x.berth.internal"), RRType.A));
    message[13] = 0x2a;
    expect(planOf(message).kind).toBe("absent");
  });

  test.each([
    ["an answer", changed(web, RRType.A, { 2: 0x80 }), "drop"],
    ["NOTIFY", changed(web, RRType.SOA, { 2: 0x20 }), Rcode.NotImp],
    ["UPDATE", changed(web, RRType.SOA, { 2: 0x28 }), Rcode.NotImp],
    ["no question", changed(web, RRType.A, { 5: 0 }), Rcode.FormErr],
    ["two questions", changed(web, RRType.A, { 5: 2 }), Rcode.FormErr],
    ["a transfer", encodeQuery(testZone, RRType.AXFR), Rcode.Refused],
    ["a transfer of another zone", encodeQuery(parseName("example.com"), RRType.AXFR), Rcode.Refused],
    ["type OPT", encodeQuery(web, RRType.OPT), Rcode.FormErr],
    ["class CH", withClass(encodeQuery(parseName("version.bind"), RRType.TXT), 3), Rcode.Refused],
  ])("%s gets what the RFCs say", (_what, message, expected) => {
    const plan = planOf(message);
    expect(plan.kind === "refuse" ? plan.rcode : plan.kind).toBe(expected);
  });
});

describe("an answer", () => {
  test("is the address of the family asked for, ANY being IPv4; the other family is NODATA", () => {
    const ipv4 = addressAt(range, 5);
    expect(addressAnswer(web, RRType.A, [ipv4, undefined], [testSoa]).answer).toMatchObject([
      { name: web, ttl: 5, rdata: { type: RRType.A, address: "127.64.0.5" } },
    ]);
    expect(addressAnswer(web, RRType.ANY, [ipv4, undefined], []).answer).toHaveLength(1);
    const none = addressAnswer(web, RRType.AAAA, [ipv4, undefined], [testSoa]);
    expect([none.rcode, none.answer, none.authority.map(({ ttl }) => ttl)]).toEqual([Rcode.NoError, [], [1]]);
  });

  test("keeps the asker's spelling, id, RD and CD, and offers recursion", () => {
    const query = changed(web, RRType.A, { 0: 0xab, 1: 0xcd, 2: 0x01, 3: 0x30, 13: 0x57 });
    const answer = encodeFitting(decodeQuery(query), negativeAnswer(Rcode.NXDomain, []), 512);
    // AD is not ours to set; CD comes back.
    expect([...answer.subarray(0, 4)]).toEqual([0xab, 0xcd, 0x81, 0x80 | 0x10 | Rcode.NXDomain]);
    expect(answer[13]).toBe(0x57);
  });

  test("is never longer than what was asked for: the additional section goes, then all but TC", () => {
    const srv = (count: number): RR[] =>
      Array.from({ length: count }, (_, i) => ({
        name: web,
        ttl: 5,
        rdata: { type: RRType.SRV, priority: 0, weight: 0, port: i, target: web },
      }));
    const query = decodeQuery(encodeQuery(web, RRType.SRV));
    const bare = encodeFitting(query, positiveAnswer(srv(4), srv(20)), 512);
    expect([decodeResponse(bare).answer.length, decodeResponse(bare).truncated]).toEqual([4, false]);
    const cut = encodeFitting(query, positiveAnswer(srv(40), []), 512);
    expect(cut.length).toBeLessThanOrEqual(512);
    expect(decodeResponse(cut)).toMatchObject({ truncated: true, answer: [] });
    expect(decodeResponse(encodeFitting(query, positiveAnswer(srv(40), []), 4096)).answer).toHaveLength(40);
  });

  test("from elsewhere that is too long is its question with TC", () => {
    const query = encodeQuery(parseName("example.com"), RRType.TXT);
    const cut = fitForwarded(new Uint8Array(600), readMessageStart(query), 512);
    expect(decodeResponse(cut)).toMatchObject({ truncated: true, rcode: Rcode.NoError });
    expect(readMessageStart(cut).question?.name).toBe("example.com.");
  });

  test("may be as long as the client's EDNS size says, and 512 octets in any case", () => {
    const plain = encodeQuery(web, RRType.A);
    const limits = [plain, withOpt(plain, 100), withOpt(plain, 1232)].map((one) =>
      udpLimitOf(decodeQuery(one)),
    );
    expect(limits).toEqual([512, 512, 1232]);
    expect(udpLimitOf(undefined)).toBe(512);
  });
});

describe("an address asked for its name", () => {
  const query = reverseQuery(RRType.PTR);

  test("gives it", () => {
    expect(reverseAnswer(query, [web]).answer).toMatchObject([{ rdata: { type: RRType.PTR, target: web } }]);
  });

  test("that nobody has does not exist; and other types at one that somebody has are NODATA", () => {
    expect(reverseAnswer(query, [])).toMatchObject({ rcode: Rcode.NXDomain, answer: [] });
    const other = reverseAnswer(reverseQuery(RRType.TXT), [web]);
    expect([other.rcode, other.answer, other.authority.length]).toEqual([Rcode.NoError, [], 1]);
  });
});

test("a message that cannot be read is answered FORMERR with its id, when it is a query at all", () => {
  expect([...(encodeFormErr(Uint8Array.from([1, 2, 0x29, 0, 0, 1, 0, 0, 0, 0, 0, 0, 99])) ?? [])]).toEqual([
    1, 2, 0xa9, 0x81, 0, 0, 0, 0, 0, 0, 0, 0,
  ]);
  expect(encodeFormErr(Uint8Array.from([1, 2, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 99]))).toBeUndefined();
  expect(encodeFormErr(Uint8Array.from([1, 2, 3]))).toBeUndefined();
  const start = readMessageStart(changed(web, RRType.A, { 5: 2 }));
  expect(decodeResponse(encodeRefusal(start, Rcode.FormErr)).rcode).toBe(Rcode.FormErr);
});

function reverseQuery(type: number): Query {
  return decodeQuery(encodeQuery(parseName("5.0.64.127.in-addr.arpa"), type));
}

function withClass(message: Uint8Array, qclass: number): Uint8Array {
  const copy = Uint8Array.from(message);
  copy[copy.length - 1] = qclass;
  return copy;
}
