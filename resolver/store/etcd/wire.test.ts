import { describe, expect, it } from "vitest";
import {
  type Compare,
  encodeCompare,
  encodeRange,
  eventsFromWatch,
  integer,
  itemFromWire,
  repliesFromTxn,
  revisionOf,
} from "./wire.ts";

const base64 = (text: string) => Buffer.from(text, "utf8").toString("base64");

describe("etcd's JSON", () => {
  it("ends a prefix at the first key beyond it, in octets", () => {
    expect(encodeRange({ prefix: "a/" })).toEqual({ key: base64("a/"), range_end: base64("a0") });
    // "\u{7f}" is the last octet of one length; what follows it is no text.
    expect(encodeRange({ prefix: "\u{7f}" }).range_end).toBe(Buffer.from([0x80]).toString("base64"));
    expect(encodeRange({ prefix: "ä" }).range_end).toBe(Buffer.from([0xc3, 0xa5]).toString("base64"));
  });

  it("means every key by the empty prefix", () => {
    expect(encodeRange({ prefix: "" })).toEqual({ key: base64("\0"), range_end: base64("\0") });
  });

  it("reads an item in which zeros are left out, and one in which they are not", () => {
    const kv = { key: base64("k"), create_revision: "2", mod_revision: "3", version: "1" };
    const item = { key: "k", value: "", createRevision: 2, modRevision: 3, version: 1 };
    expect(itemFromWire(kv)).toEqual(item);
    expect(itemFromWire({ ...kv, value: "", lease: "0" })).toEqual(item);
  });

  it("keeps a lease's number as text, whatever its size", () => {
    expect(itemFromWire({ lease: "9223372036854775807" }).lease).toBe("9223372036854775807");
  });

  it.each<[Compare, object]>([
    [
      { key: "k", is: "equal", createRevision: 0 },
      { result: "EQUAL", target: "CREATE", create_revision: "0" },
    ],
    [
      { key: "k", is: "greater", modRevision: 5 },
      { result: "GREATER", target: "MOD", mod_revision: "5" },
    ],
    [
      { key: "k", is: "less", version: 2 },
      { result: "LESS", target: "VERSION", version: "2" },
    ],
    [
      { key: "k", is: "not-equal", value: "v" },
      { result: "NOT_EQUAL", target: "VALUE", value: base64("v") },
    ],
  ])("states the condition %j", (compare, expected) => {
    expect(encodeCompare(compare)).toEqual({ key: base64("k"), ...expected });
  });

  it("tells a deletion by its revision", () => {
    const kv = { key: base64("k"), mod_revision: "7" };
    const [put, removal] = eventsFromWatch({
      events: [
        { type: "PUT", kv },
        { type: "DELETE", kv },
      ],
    });
    expect(put).toMatchObject({ kind: "put", item: { key: "k" } });
    expect(removal).toEqual({ kind: "delete", key: "k", modRevision: 7 });
    expect(removal && revisionOf(removal)).toBe(7);
  });

  it("gives one reply for each operation", () => {
    const responses = [
      { response_put: {} },
      { response_delete_range: { deleted: "2" } },
      { response_range: {} },
    ];
    expect(repliesFromTxn({ responses })).toEqual([
      { kind: "put" },
      { kind: "delete", deleted: 2 },
      { kind: "get", items: [] },
    ]);
  });

  it("refuses a number that JavaScript would round", () => {
    expect(integer(undefined)).toBe(0);
    expect(() => integer("9007199254740993")).toThrow("9007199254740993");
    expect(() => integer("x")).toThrow("x");
  });
});
