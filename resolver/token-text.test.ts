import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test, vi } from "vitest";

import { hashOfToken, isSameHash, tokenFrom, tokenIdOf, tokenOctets } from "./token-text.ts";

describe("a token's text", () => {
  test("is the prefix, ten characters of id, and 32 octets of secret in base64url", () => {
    for (let turn = 0; turn < 200; turn++) {
      const random = randomBytes(tokenOctets);
      const { id, text } = tokenFrom(random);
      expect(text).toBe(`berth_${id}_${random.subarray(7).toString("base64url")}`);
      expect(id).toMatch(/^[a-z2-7]{10}$/);
      expect(tokenIdOf(text)).toBe(id);
    }
  });

  test("has another id when any of the 50 bits it is made of differs", () => {
    const ids = new Set<string>();
    for (let bit = 0; bit < 50; bit++) {
      const random = new Uint8Array(tokenOctets);
      random[bit >> 3] = 128 >> (bit & 7);
      ids.add(tokenFrom(random).id);
    }
    expect(ids.size).toBe(50);
  });

  test.each([0, tokenOctets - 1, tokenOctets + 1])("is not made of %i octets", (length) => {
    expect(() => tokenFrom(new Uint8Array(length))).toThrow(RangeError);
  });

  const { text } = tokenFrom(new Uint8Array(tokenOctets).fill(255));
  test.each([
    ["", "empty"],
    [text.slice(1), "without its first letter"],
    [text.slice(0, -1), "without its last letter"],
    [`${text}a`, "with one more"],
    [text.toUpperCase(), "in upper case"],
    [`${text}\n`, "with a line break"],
    [text.replace("berth_", "berth-"), "with another prefix"],
  ])("has no id when it is %j (%s)", (wrong) => {
    expect(tokenIdOf(wrong)).toBeUndefined();
  });

  test("is hashed by SHA-256, prefix and all", async () => {
    expect(await hashOfToken(text)).toBe(createHash("sha256").update(text).digest("hex"));
  });
});

describe("comparing two hashes", () => {
  const held = "0123456789abcdef".repeat(4);
  const changedAt = (at: number) => `${held.slice(0, at)}x${held.slice(at + 1)}`;

  test("finds a difference at every place, and in length", () => {
    expect(isSameHash(held, held)).toBe(true);
    for (let at = 0; at < held.length; at++) expect(isSameHash(held, changedAt(at))).toBe(false);
    expect(isSameHash(held, held.slice(1))).toBe(false);
    expect(isSameHash(held, `${held}0`)).toBe(false);
    expect(isSameHash(held, held.slice(0, -1))).toBe(false);
    expect(isSameHash(held, "")).toBe(false);
    expect(isSameHash("", held)).toBe(false);
  });

  /** What a test can show of constant time: no character is left out, wherever the first difference is. Not what the machine makes of it. */
  test("looks at every character, wherever the first difference is", () => {
    const looks = vi.spyOn(String.prototype, "charCodeAt");
    const counts = [held, changedAt(0), changedAt(31), changedAt(63)].map((shown) => {
      looks.mockClear();
      isSameHash(held, shown);
      return looks.mock.calls.length;
    });
    looks.mockRestore();
    expect(counts).toEqual([128, 128, 128, 128]);
  });
});
