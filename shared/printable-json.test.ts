import fc from "fast-check";
import { expect, test } from "vitest";

import { printableJson } from "./printable-json.ts";

test.each([
  ["a\u009b31m", '"a\\u009b31m"'],
  ["\u001b[2J\u007f", '"\\u001b[2J\\u007f"'],
  ["\u202eabc\u2028", '"\\u202eabc\\u2028"'],
  ["\u{e0041}", '"\\udb40\\udc41"'],
  ["日本 é 😀", '"日本 é 😀"'],
])("%j is %s", (text, json) => expect(printableJson(text)).toBe(json));

test("is indented as JSON is", () => {
  expect(printableJson({ a: ["\u0085"] }, 2)).toBe('{\n  "a": [\n    "\\u0085"\n  ]\n}');
});

test("means the same, and commands no terminal", { timeout: 60_000 }, () => {
  const property = fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
    const text = printableJson(value);
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  });
  fc.assert(property, { numRuns: 200 });
});
