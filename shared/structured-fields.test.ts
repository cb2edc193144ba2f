import { describe, expect, test } from "vitest";

import { encodeInnerList, encodeItem, parseDictionary } from "./structured-fields.ts";

function encoded(text: string): string[] {
  return [...parseDictionary(text)].map(
    ([key, member]) => `${key}=${"items" in member ? encodeInnerList(member) : encodeItem(member)}`,
  );
}

describe("a dictionary (RFC 8941)", () => {
  test.each([
    ["nothing", "", []],
    [
      "every kind of item",
      'a="x", b=tok/en:*, c=:Zg==:, d=?0, e=-12, f=1.25',
      ['a="x"', "b=tok/en:*", "c=:Zg==:", "d=?0", "e=-12", "f=1.25"],
    ],
    ["a member without a value", "a;p, b", ["a=?1;p", "b=?1"]],
    ["inner lists", 'a=("x" y  z;q=1 );r, b=()', ['a=("x" y z;q=1);r', "b=()"]],
    ["white space where it may be", "  a=1 ,\tb=2;  p=3  ", ["a=1", "b=2;p=3"]],
    ["quotes and backslashes", String.raw`a="\"\\x"`, [String.raw`a="\"\\x"`]],
    ["a parameter that is true", "a=1;x=?1;y", ["a=1;x;y"]],
    ["two header lines, as one", 'a=("x");n="1", b=2', ['a=("x");n="1"', "b=2"]],
  ])("of %s is read, and written the one way", (_, text, expected) => {
    expect(encoded(text)).toEqual(expected);
  });

  test.each([
    ["a key twice", "a=1, a=1"],
    ["a parameter twice", "a=1;p=1;p=2"],
    ["a parameter of an inner list twice", 'a=("x");p=1;p=1'],
    ["a comma at the end", "a=1,"],
    ["a comma at the start", ",a=1"],
    ["no comma", "a=1 b=2"],
    ["an upper-case key", "A=1"],
    ["an open string", 'a="x'],
    ["a string of more than ASCII", 'a="é"'],
    ["an escape that is none", String.raw`a="\n"`],
    ["an open list", 'a=("x"'],
    ["items that touch", 'a=("x""y")'],
    ["a list in a list", "a=((x))"],
    ["an open byte sequence", "a=:Zg=="],
    ["a byte sequence of something else", "a=:Zg-_:"],
    ["a boolean that is none", "a=?2"],
    ["a number too long", "a=1234567890123456"],
    ["a number with two points", "a=1.2.3"],
    ["no value", "a="],
    ["white space before a parameter", "a=1 ;p"],
    ["a parameter without a name", "a=1;"],
    ["a line end", "a=1\n"],
  ])("of %s is refused", (_, text) => {
    expect(() => parseDictionary(text)).toThrow(expect.objectContaining({ code: "bad-field" }));
  });

  test.each([
    ["one string", `a="${"x".repeat(10_000)}"`],
    ["one list", `a=(${"x ".repeat(5_000)})`],
    ["members", Array.from({ length: 2_000 }, (_, index) => `a${index}`).join(",")],
    ["open brackets", "a=(".repeat(3_000)],
  ])("too long to be one of ours is refused unread: %s", (_, text) => {
    expect(() => parseDictionary(text)).toThrow("over 8192 characters");
  });
});
