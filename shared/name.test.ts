import { describe, expect, test } from "vitest";

import {
  displayName,
  isInZone,
  labelFromText,
  labelsOf,
  type Name,
  nameBelow,
  nameSchema,
  parentOf,
  parseName,
} from "./name.ts";

const label63 = "a".repeat(63);
/** 253 characters: the longest there is. */
const longest = `${label63}.${label63}.${label63}.${"b".repeat(61)}`;

describe("parseName", () => {
  test.each([
    ["web", "web."],
    ["Web.SHOP.", "web.shop."],
    ["_80._tcp.web", "_80._tcp.web."],
    ["xn--bcher-kva", "xn--bcher-kva."],
    ["1.2", "1.2."],
    [".", "."],
    [label63, `${label63}.`],
    [longest, `${longest}.`],
    [`${longest}.`, `${longest}.`],
  ])("takes %s", (text, name) => expect(parseName(text)).toBe(name));

  test.each([
    "",
    "..",
    ".web",
    "a..b",
    "web..",
    "-a",
    "a-",
    "a_b",
    "__a",
    "_",
    "a b",
    "wéb",
    "a/b",
    "a\0b",
    "a\n",
    "*.web",
    "a\\046b",
    "ⓐ",
    "\u212a",
    `${label63}a`,
    `${longest}a`,
    "a.".repeat(128),
  ])("refuses %j", (text) => {
    expect(() => parseName(text)).toThrow(expect.objectContaining({ code: "bad-name" }));
    expect(nameSchema.safeParse(text).success).toBe(false);
  });

  test("says what is wrong, without repeating a whole novel", () => {
    expect(() => parseName("a..b")).toThrow(/"a\.\.b".*empty label/);
    const error = nameSchema.safeParse("x y".repeat(10_000)).error;
    expect(error?.issues[0]?.message.length).toBeLessThan(200);
  });
});

describe("labelFromText", () => {
  test.each([
    ["Web_1", "web-1"],
    ["--a--b..c--", "a-b-c"],
    ["shop/web", "shop-web"],
    ["", undefined],
    ["___", undefined],
    ["日本", undefined],
    [label63, label63],
    [`${label63}a`, undefined],
    [`_${label63}_`, label63],
  ])("makes of %j %j", (text, label) => expect(labelFromText(text)).toBe(label));
});

describe("the tree", () => {
  const name = parseName("a.b.c");
  test("goes up to the root and ends there", () => {
    const seen: (Name | undefined)[] = [];
    for (let at: Name | undefined = name; at !== undefined; at = parentOf(at)) seen.push(at);
    expect(seen).toEqual(["a.b.c.", "b.c.", "c.", "."]);
  });

  test("has labels, none for the root", () => {
    expect(labelsOf(name)).toEqual(["a", "b", "c"]);
    expect(labelsOf(parseName("."))).toEqual([]);
  });

  test.each([
    ["b.c", true],
    ["a.b.c", true],
    [".", true],
    ["xb.c", false],
    ["x.a.b.c", false],
    ["b", false],
  ])("has a.b.c in %s: %s", (zone, expected) => expect(isInZone(name, parseName(zone))).toBe(expected));

  test("grows downwards to 253 characters and no further", () => {
    expect(nameBelow("_80._tcp", name)).toBe("_80._tcp.a.b.c.");
    expect(nameBelow("a", parseName("."))).toBe("a.");
    const zone = parseName(`${label63}.${label63}.${label63}`);
    expect(nameBelow("b".repeat(61), zone)).toHaveLength(254);
    expect(() => nameBelow("b".repeat(62), zone)).toThrow(expect.objectContaining({ code: "bad-name" }));
  });

  test("is shown without the trailing dot", () => {
    expect([displayName(name), displayName(parseName("."))]).toEqual(["a.b.c", "."]);
  });
});
