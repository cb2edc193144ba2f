import codec from "dns-packet";
import { describe, expect, test } from "vitest";

import { parseAddress } from "../address.ts";
import { parseName } from "../name.ts";
import { RRType, rcodeName } from "./constants.ts";
import {
  decodeQuery,
  decodeResponse,
  encodeQuery,
  encodeResponse,
  maxMessageLength,
  type RR,
} from "./message.ts";

const web = parseName("web.berth.internal");
const ip = (text: string) => parseAddress(text) ?? parseName("");
const records: RR[] = [
  { name: web, ttl: 5, rdata: { type: RRType.A, address: parseAddress("10.0.0.5") ?? fail() } },
  { name: web, ttl: 5, rdata: { type: RRType.AAAA, address: parseAddress("2001:db8::5") ?? fail() } },
  { name: web, ttl: 0, rdata: { type: RRType.PTR, target: parseName("_80._tcp.web") } },
  { name: parseName("."), ttl: 2 ** 31 - 1, rdata: { type: RRType.NS, target: parseName(".") } },
  { name: web, ttl: 1, rdata: { type: RRType.SRV, priority: 1, weight: 65_535, port: 32_768, target: web } },
  { name: web, ttl: 5, rdata: { type: RRType.TXT, texts: ["a=b", "", "é=\n", "x".repeat(255)] } },
  {
    name: web,
    ttl: 5,
    rdata: {
      type: RRType.SOA,
      soa: { mname: web, rname: web, serial: 2 ** 32 - 1, refresh: 1, retry: 2, expire: 3, minimum: 4 },
    },
  },
];
const noRecords = { rcode: 0, authoritative: true, answer: [], authority: [], additional: [] };

function fail(): never {
  throw new Error("the test's own address is wrong");
}

describe("what we encode we decode", () => {
  test("a query, as the oracle reads it", () => {
    const bytes = encodeQuery(web, RRType.HTTPS);
    const { question, ...start } = decodeQuery(bytes);
    expect(start).toMatchObject({
      id: 0,
      isResponse: false,
      opcode: 0,
      recursionDesired: false,
      questionCount: 1,
    });
    expect(question).toMatchObject({ name: web, type: RRType.HTTPS, class: 1 });
    expect(codec.decode(Buffer.from(encodeQuery(web, RRType.SRV))).questions).toEqual([
      { name: "web.berth.internal", type: "SRV", class: "IN" },
    ]);
  });

  test("a response with every type in every section, and encoding it again gives the same octets", () => {
    const query = decodeQuery(encodeQuery(web, RRType.ANY));
    const parts = { ...noRecords, rcode: 3, answer: records, authority: records, additional: records };
    const bytes = encodeResponse(query, parts);
    const decoded = decodeResponse(bytes);
    expect(decoded).toEqual({
      rcode: 3,
      truncated: false,
      answer: records,
      authority: records,
      additional: records,
    });
    expect(encodeResponse(query, { ...decoded, authoritative: true })).toEqual(bytes);
    expect(codec.decode(Buffer.from(bytes)).answers?.[4]).toMatchObject({
      type: "SRV",
      data: { priority: 1, weight: 65_535, port: 32_768, target: "web.berth.internal" },
    });
  });

  test.each([
    [0, "NOERROR"],
    [3, "NXDOMAIN"],
    [16, "BADVERS"],
    [23, "RCODE23"],
    [4095, "RCODE4095"],
  ])("rcode %i (%s), over twelve bits", (rcode, name) => {
    const withOpt = codec.encode({
      type: "query",
      questions: [{ name: "a", type: "A" }],
      additionals: [emptyOpt],
    });
    const bytes = encodeResponse(decodeQuery(withOpt), { ...noRecords, rcode });
    expect(decodeResponse(bytes).rcode).toBe(rcode);
    expect(rcodeName(rcode)).toBe(name);
  });
});

const emptyOpt = {
  type: "OPT",
  name: ".",
  udpPayloadSize: 1232,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
} as unknown as codec.Answer;

describe("an answer too long for a message", () => {
  const many = (count: number, name = web): RR[] =>
    Array.from({ length: count }, (_, i) => ({
      name,
      ttl: 1,
      rdata: { type: RRType.SRV, priority: 0, weight: 0, port: i, target: web },
    }));
  const query = decodeQuery(encodeQuery(web, RRType.SRV));

  test("loses its additional section first", () => {
    const bytes = encodeResponse(query, { ...noRecords, answer: many(1000), additional: many(1000) });
    expect(bytes.length).toBeLessThanOrEqual(maxMessageLength);
    const decoded = decodeResponse(bytes);
    expect([decoded.truncated, decoded.answer.length, decoded.additional.length]).toEqual([false, 1000, 0]);
  });

  test("is truncated, and says so, when that is not enough", () => {
    const decoded = decodeResponse(encodeResponse(query, { ...noRecords, answer: many(2000) }));
    expect([decoded.truncated, decoded.answer.length]).toEqual([true, 0]);
  });
});

test("encoding leaves the RRs it was given as they are", () => {
  const before = structuredClone(records);
  encodeResponse(decodeQuery(encodeQuery(web, RRType.ANY)), { ...noRecords, answer: records });
  expect(records).toEqual(before);
});

describe("a response from elsewhere", () => {
  const response = (answers: codec.Answer[]) => codec.encode({ type: "response", questions: [], answers });

  test("keeps the RRs we know when others stand beside them", () => {
    const a = { name: "web.test", type: "A" as const, ttl: 5, data: "10.0.0.5" };
    const bytes = response([
      { name: "web.test", type: "HINFO", ttl: 5, data: { cpu: "x", os: "y" } },
      { name: "web.test", type: "CNAME", ttl: 5, data: "other.test" },
      { ...a, class: "CH" },
      { ...a, name: "wéb.test" },
      a,
    ]);
    expect(decodeResponse(bytes).answer).toEqual([
      { name: "web.test.", ttl: 5, rdata: { type: RRType.A, address: ip("10.0.0.5") } },
    ]);
  });

  test("is lower-cased, and an IPv4-mapped address becomes what it means", () => {
    const bytes = response([{ name: "WEB.Test", type: "AAAA", ttl: 5, data: "::ffff:10.0.0.5" }]);
    expect(decodeResponse(bytes).answer[0]).toMatchObject({ name: "web.test." });
  });

  test("that is a query is refused", () => {
    expect(() => decodeResponse(encodeQuery(web, 1))).toThrow(
      expect.objectContaining({ code: "malformed-message" }),
    );
  });
});
