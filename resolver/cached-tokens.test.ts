import { describe, expect, test, vi } from "vitest";

import { BerthError } from "../shared/errors.ts";
import type { Access } from "./access.ts";
import { createCachedTokenCheck } from "./cached-tokens.ts";
import { accessOf } from "./testing/tokens.ts";

function makeCheck(maxEntries?: number) {
  const clock = { now: 0 };
  const inner = vi.fn(async (text: string): Promise<Access> => accessOf("reader", { tokenId: text }));
  const parts = {
    positiveMs: 30_000,
    now: () => clock.now,
    ...(maxEntries === undefined ? {} : { maxEntries }),
  };
  const cached = createCachedTokenCheck({ check: inner }, parts);
  return { check: (text: string) => cached.check(text), inner, clock };
}

describe("a cached token check", () => {
  test("asks once for 30 seconds, and again after them", async () => {
    const { check, inner, clock } = makeCheck();
    for (const now of [0, 15_000, 29_999]) {
      clock.now = now;
      expect((await check("good")).tokenId).toBe("good");
    }
    expect(inner).toHaveBeenCalledTimes(1);
    clock.now = 30_000;
    await check("good");
    expect(inner).toHaveBeenCalledTimes(2);
  });

  test("is not prolonged by use: a revoked token ends 30 seconds after it was last asked for", async () => {
    const { check, inner, clock } = makeCheck();
    await check("good");
    clock.now = 29_000;
    await check("good");
    inner.mockRejectedValue(new BerthError("token-revoked", "it was revoked"));
    clock.now = 30_000;
    await expect(check("good")).rejects.toMatchObject({ code: "token-revoked" });
  });

  test("keeps no verdict past the token's own end", async () => {
    const { check, inner, clock } = makeCheck();
    inner.mockResolvedValue(accessOf("reader", { expiresAt: 10_000 }));
    await check("short");
    clock.now = 10_000;
    inner.mockRejectedValue(new BerthError("token-expired", "it expired"));
    await expect(check("short")).rejects.toMatchObject({ code: "token-expired" });
  });

  test("keeps no refusal: a token works the moment it was made", async () => {
    const { check, inner } = makeCheck();
    inner.mockRejectedValueOnce(new BerthError("unknown-token", "never given out"));
    await expect(check("new")).rejects.toMatchObject({ code: "unknown-token" });
    expect((await check("new")).tokenId).toBe("new");
  });

  test("keeps so many verdicts and no more, the oldest giving way", async () => {
    const { check, inner } = makeCheck(3);
    for (const text of ["a", "b", "c", "d"]) await check(text);
    inner.mockClear();
    for (const text of ["b", "c", "d"]) await check(text);
    expect(inner).not.toHaveBeenCalled();
    await check("a");
    expect(inner).toHaveBeenCalledTimes(1);
  });

  test("leaves an over-long text to the check behind it, unhashed", async () => {
    const digest = vi.spyOn(crypto.subtle, "digest");
    const { check, inner } = makeCheck();
    await check("a".repeat(201));
    await check("a".repeat(201));
    expect(inner).toHaveBeenCalledTimes(2);
    expect(digest).not.toHaveBeenCalled();
    digest.mockRestore();
  });
});
