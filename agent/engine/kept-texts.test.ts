import { expect, test } from "vitest";

import { keptTexts } from "./kept-texts.ts";

const isRead = (key: string) => key.startsWith("berth.");
const kept = (given: Record<string, string>) => keptTexts(given, "label", isRead);
const many = (count: number, key: (at: number) => string, text = "x") =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [key(at), text]));

test("what is within the limits is kept whole, and nothing is said", () => {
  const given = { "org.example": "x".repeat(4_000), "berth.name": "a".repeat(4_086), "": "" };
  expect(kept(given)).toEqual({ texts: given, leftOut: undefined });
});

test("an overlong one that is read is left out, by name", () => {
  const { texts, leftOut } = kept({ "berth.name": "a".repeat(4_087), "berth.http": "80" });
  expect(texts).toEqual({ "berth.http": "80" });
  expect(leftOut).toBe(
    "label berth.name is not read: name and value are longer than 4096 characters together; shorten it",
  );
});

test("of several the first is named and the others are counted; a name without end is cut", () => {
  const { texts, leftOut } = kept({
    [`berth.${"a".repeat(5_000)}`]: "",
    "berth.b": "x".repeat(5_000),
    "berth.c": "x".repeat(5_000),
  });
  expect(texts).toEqual({});
  expect(leftOut).toMatch(/^label berth\.a{74}\.\.\. \(and 2 more\) is not read/);
});

test("an overlong one that nothing reads keeps its name, for selectors, and is nobody's trouble", () => {
  const given = { "devcontainer.metadata": "x".repeat(5_000), ["k".repeat(5_000)]: "" };
  expect(kept(given)).toEqual({ texts: { "devcontainer.metadata": "" }, leftOut: undefined });
});

test("one that hides the container hides it, however long it is", () => {
  expect(kept({ "berth.ignore": "x".repeat(5_000) })).toEqual({
    texts: { "berth.ignore": "x".repeat(12) },
    leftOut: expect.stringContaining("berth.ignore"),
  });
});

test("of more than 500 those that are read stay, then the first by name", () => {
  const { texts, leftOut } = kept({ ...many(600, (at) => `a${at + 1_000}`), "berth.name": "web" });
  expect(Object.keys(texts)).toHaveLength(500);
  expect(texts).toMatchObject({ "berth.name": "web", a1000: "x", a1498: "x" });
  expect(texts).not.toHaveProperty("a1499");
  expect(leftOut).toMatch(/^101 of its 601 labels are not read: .* at most 500 labels, of 65536 characters/);
});

test("together they take no more than 64 KiB", () => {
  const { texts, leftOut } = kept({ ...many(20, (at) => `a${at}`, "x".repeat(4_000)), "berth.name": "web" });
  expect(JSON.stringify(texts).length).toBeLessThan(66_000);
  expect(texts).toHaveProperty(["berth.name"]);
  expect(leftOut).toMatch(/^4 of its 21 labels are not read/);
});

test("the same ones stay, in one order, whatever order they come in", () => {
  const given = Object.entries({ ...many(600, (at) => `a${at}`), "berth.b": "", "berth.a": "" });
  const [one, other] = [kept(Object.fromEntries(given)), kept(Object.fromEntries(given.toReversed()))];
  expect(JSON.stringify(one)).toBe(JSON.stringify(other));
});
