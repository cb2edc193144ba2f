import { describe, expect, test } from "vitest";

import {
  ask,
  askWith,
  head,
  noError,
  optRecord,
  queryFor,
  servingApp,
  shown,
  type,
} from "./testing/answers.ts";

describe("a query we do not answer", () => {
  const plain = () => queryFor("web.shop", type.A);
  const withByte = (at: number, value: number) => {
    const query = plain();
    query[at] = value;
    return query;
  };
  const qclass = (value: number) => {
    const query = plain();
    query.writeUInt16BE(value, query.length - 2);
    return query;
  };
  const outside = Buffer.concat([
    Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
    Buffer.from("\x07example\x03com\0\0\x01\0\x01", "latin1"),
  ]);
  const opt = optRecord();
  const withOpt = queryFor("web.shop", type.A, [opt]);
  const twoQuestions = Buffer.concat([plain(), plain().subarray(12)]);
  twoQuestions.writeUInt16BE(2, 4);
  const noQuestion = Buffer.from([0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

  test.each<[string, Buffer, number]>([
    ["out of zone", outside, 5],
    ["AXFR", queryFor("", type.AXFR), 5],
    ["IXFR", queryFor("", type.IXFR), 5],
    ["class CH", qclass(3), 5],
    ["class NONE", qclass(254), 5],
    ["a response", withByte(2, 0x80), 1],
    ["no question", noQuestion, 1],
    ["two questions", twoQuestions, 1],
    ["QTYPE OPT", queryFor("web.shop", type.OPT), 1],
    ["two OPTs", queryFor("web.shop", type.A, [opt, opt]), 1],
    ["opcode NOTIFY", withByte(2, 4 << 3), 4],
    ["opcode UPDATE", withByte(2, 5 << 3), 4],
    ["opcode DSO", withByte(2, 6 << 3), 4],
    ["EDNS version 1", queryFor("web.shop", type.A, [optRecord({ version: 1 })]), 16],
  ])("%s gets its rcode, without AA, and no cache keeps it", async (_, query, rcode) => {
    const asked = await askWith((await servingApp()).app, query);
    expect(head(asked)).toMatchObject({ rcode, aa: false });
    expect(asked.answer.answers).toEqual([]);
    expect(asked.answer.authorities).toEqual([]);
    expect(asked.bytes.subarray(0, 2)).toEqual(new Uint8Array(query.subarray(0, 2)));
    expect((asked.bytes[2] ?? 0) >> 3).toBe(0x10 | ((query[2] ?? 0) >> 3));
    expect(asked.response.headers.get("cache-control")).toBe("no-store");
  });

  test("class ANY is answered as IN", async () => {
    expect(head(await askWith((await servingApp()).app, qclass(255)))).toMatchObject(noError);
  });

  test("out of zone says why to whoever sent OPT", async () => {
    const query = Buffer.concat([outside, withOpt.subarray(plain().length)]);
    query.writeUInt16BE(1, 10);
    const { opt: got } = head(await askWith((await servingApp()).app, query));
    const options = got?.type === "OPT" ? (got.options as { code: number; data: Buffer }[]) : [];
    expect(options.map(({ code, data }) => [code, data.readUInt16BE(0)])).toEqual([[15, 20]]);
    expect(options[0]?.data.subarray(2).toString()).toContain("berth.internal");
  });
});

describe("what goes back as it came", () => {
  test("id, RD, CD and the question, byte for byte, whatever its case", async () => {
    const { app } = await servingApp();
    for (const name of ["WeB.sHoP", "WEB.SHOP", "NoThing"]) {
      const query = queryFor(name, type.A);
      query[3] = 0x10;
      const { bytes } = await askWith(app, query);
      expect(Buffer.from(bytes.subarray(12, query.length)), name).toEqual(query.subarray(12));
      expect([bytes[0], bytes[1], (bytes[2] ?? 0) & 1, (bytes[3] ?? 0) & 0xf0]).toEqual([
        0x12, 0x34, 1, 0x10,
      ]);
    }
    expect(shown((await ask(app, "WeB.sHoP", type.A)).answer.answers)).toHaveLength(1);
  });

  test("no OPT without OPT; with it OPT, version 0 and the DO bit", async () => {
    const { app } = await servingApp();
    expect(head(await ask(app, "web.shop", type.A)).opt).toBeUndefined();
    for (const flags of [0, 0x8000]) {
      const asked = await askWith(app, queryFor("web.shop", type.A, [optRecord({ flags })]));
      expect(head(asked).opt).toMatchObject({ ednsVersion: 0, flags, udpPayloadSize: 1232, options: [] });
    }
  });

  test("padding, to the next 468 octets and to none when the query has none", async () => {
    const { app } = await servingApp();
    const padded = optRecord({ options: [{ code: 12, data: Buffer.alloc(20) }] });
    for (const name of ["web.shop", "_80._tcp.web.shop", "nothing", `${"a".repeat(63)}.${"b".repeat(63)}`]) {
      const { bytes, answer } = await askWith(app, queryFor(name, type.SRV, [padded]));
      expect(bytes.length, name).toBe(468);
      expect(answer.additionals?.filter((record) => record.type === "OPT")).toHaveLength(1);
      const plain = await askWith(app, queryFor(name, type.SRV, [optRecord()]));
      expect(plain.bytes.length).toBeLessThan(468);
    }
  });
});
