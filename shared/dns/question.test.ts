import { describe, expect, test } from "vitest";

import { readMessageStart } from "./question.ts";

const header = [0xab, 0xcd, 0x01, 0x10, 0, 1, 0, 2, 0, 3, 0, 4];
const label = (text: string | number[]) => [text.length, ...Buffer.from(text as string, "latin1")];
const message = (...name: number[][]) => Uint8Array.from([...header, ...name.flat(), 0, 0, 33, 0, 255]);

test("header fields are read as they stand", () => {
  expect(readMessageStart(message(label("a")))).toMatchObject({
    id: 0xabcd,
    isResponse: false,
    opcode: 0,
    recursionDesired: true,
    checkingDisabled: true,
    questionCount: 1,
    answerCount: 2,
    authorityCount: 3,
    additionalCount: 4,
    question: { name: "a.", type: 33, class: 255 },
  });
});

describe("QNAME", () => {
  const a63 = label("a".repeat(63));
  test.each([
    ["the root", [], "."],
    ["mixed case", [label("WeB"), label("Shop")], "web.shop."],
    ["a dot in a label", [label("a.b")], "a\\046b."],
    ["a backslash", [label("a\\b")], "a\\092b."],
    ["what only looks escaped", [label("a\\046b")], "a\\092046b."],
    ["octets above ASCII", [label([0xe9, 0xff].map((o) => String.fromCharCode(o)).join(""))], "\\233\\255."],
    ["white space and NUL", [label(" \t\0")], "\\032\\009\\000."],
    ["the longest label", [a63], `${"a".repeat(63)}.`],
    [
      "255 octets in all",
      [a63, a63, a63, label("b".repeat(61))],
      `${`${"a".repeat(63)}.`.repeat(3)}${"b".repeat(61)}.`,
    ],
  ])("of %s", (_, labels, name) => {
    const bytes = message(...labels);
    const { question } = readMessageStart(bytes);
    expect(question?.name).toBe(name);
    expect(Buffer.from(question?.bytes ?? [])).toEqual(Buffer.from(bytes.subarray(12)));
  });

  test.each([
    ["256 octets", message(a63, a63, a63, label("b".repeat(62)))],
    ["a label of 64", message([64, ...Buffer.alloc(64, 0x61)])],
    ["a pointer", message([0xc0, 12])],
    ["no end", Uint8Array.from([...header, 1, 0x61])],
    ["no end, exactly at a label's", Uint8Array.from([...header, 1])],
    ["no type", message(label("a")).subarray(0, -4)],
    ["half a class", message(label("a")).subarray(0, -1)],
    ["nothing at all", Uint8Array.from(header)],
    ["not even a header", Uint8Array.from(header.slice(0, 11))],
  ])("of %s is malformed", (_, bytes) => {
    expect(() => readMessageStart(bytes)).toThrow(expect.objectContaining({ code: "malformed-message" }));
  });
});

test("octets are read from where the view begins, not from its buffer's start", () => {
  const bytes = message(label("web"));
  const shifted = new Uint8Array(bytes.length + 7);
  shifted.set(bytes, 7);
  expect(readMessageStart(shifted.subarray(7)).question?.name).toBe("web.");
});
