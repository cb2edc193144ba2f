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
    outageMs: 600_000,
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

  test("lets an older verdict stand in while the store cannot be reached, for ten minutes and no longer", async () => {
    const { check, inner, clock } = makeCheck();
    await check("good");
    inner.mockRejectedValue(outage());
    for (const now of [30_000, 599_999]) {
      clock.now = now;
      expect((await check("good")).tokenId).toBe("good");
    }
    await expect(check("other")).rejects.toMatchObject({ code: "store-unavailable" });
    clock.now = 600_000;
    await expect(check("good")).rejects.toMatchObject({ code: "store-unavailable" });
  });

  test("lets none stand in past the token's own end, nor for a fault of another kind", async () => {
    const { check, inner, clock } = makeCheck();
    inner.mockResolvedValue(accessOf("reader", { expiresAt: 60_000 }));
    await check("short");
    clock.now = 60_000;
    inner.mockRejectedValue(outage());
    await expect(check("short")).rejects.toMatchObject({ code: "store-unavailable" });
    inner.mockResolvedValueOnce(accessOf("reader"));
    await check("good");
    clock.now = 90_000;
    inner.mockRejectedValue(new Error("a mistake"));
    await expect(check("good")).rejects.toThrow("a mistake");
  });

  test.each(["token-revoked", "unknown-token"])(
    "forgets the verdict with %s, for outages too",
    async (code) => {
      const { check, inner, clock } = makeCheck();
      await check("good");
      clock.now = 30_000;
      inner.mockRejectedValueOnce(new BerthError(code, "not any more"));
      await expect(check("good")).rejects.toMatchObject({ code });
      inner.mockRejectedValue(outage());
      await expect(check("good")).rejects.toMatchObject({ code: "store-unavailable" });
    },
  );

  test("lets none stand in when another check heard of a revocation while this one waited", async () => {
    const { check, inner, clock } = makeCheck();
    await check("good");
    clock.now = 30_000;
    const { promise, reject } = Promise.withResolvers<Access>();
    inner.mockReturnValueOnce(promise);
    const waiting = check("good");
    const refused = expect(waiting).rejects.toMatchObject({ code: "store-unavailable" });
    await vi.waitFor(() => expect(inner).toHaveBeenCalledTimes(2));
    inner.mockRejectedValueOnce(new BerthError("token-revoked", "it was revoked"));
    await expect(check("good")).rejects.toMatchObject({ code: "token-revoked" });
    reject(outage());
    await refused;
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

function outage(): BerthError {
  return new BerthError("store-unavailable", "the registry object does not answer", { retryable: true });
}
