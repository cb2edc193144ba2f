import { beforeEach, expect, test, vi } from "vitest";

import { BerthError } from "../shared/errors.ts";
import { type Access, bootstrapAccess } from "./access.ts";
import { createRecentTokenCheck } from "./recent-tokens.ts";
import type { TokenCheck } from "./tokens.ts";

let now: number;
let inner: { check: ReturnType<typeof vi.fn<TokenCheck["check"]>> };
let recent: TokenCheck;

beforeEach(() => {
  now = 1_000;
  inner = { check: vi.fn(async (): Promise<Access> => bootstrapAccess("reader")) };
  recent = createRecentTokenCheck(inner, () => now);
});

test("a good token is checked again after half a second", async () => {
  expect(await recent.check("one")).toMatchObject({ kind: "reader" });
  now += 499;
  expect(await recent.check("one")).toMatchObject({ kind: "reader" });
  expect(inner.check).toHaveBeenCalledTimes(1);
  now += 1;
  inner.check.mockRejectedValue(new BerthError("token-revoked", ""));
  await expect(recent.check("one")).rejects.toMatchObject({ code: "token-revoked" });
});

test("a good verdict is no other token's", async () => {
  await recent.check("one");
  inner.check.mockRejectedValueOnce(new BerthError("unknown-token", ""));
  await expect(recent.check("two")).rejects.toMatchObject({ code: "unknown-token" });
});

test("a token that expires is refused then", async () => {
  inner.check.mockResolvedValueOnce({ ...bootstrapAccess("reader"), expiresAt: 1_100 });
  await recent.check("one");
  now = 1_100;
  inner.check.mockRejectedValue(new BerthError("token-expired", ""));
  await expect(recent.check("one")).rejects.toMatchObject({ code: "token-expired" });
});

test("a refusal is not kept: a new token works at once", async () => {
  inner.check.mockRejectedValueOnce(new BerthError("unknown-token", ""));
  await expect(recent.check("one")).rejects.toMatchObject({ code: "unknown-token" });
  expect(await recent.check("one")).toMatchObject({ kind: "reader" });
});

test("only so many are kept, the newest", async () => {
  for (let index = 0; index < 1_001; index++) await recent.check(`token ${index}`);
  await recent.check("token 1000");
  await recent.check("token 1");
  expect(inner.check).toHaveBeenCalledTimes(1_001);
  await recent.check("token 0");
  expect(inner.check).toHaveBeenCalledTimes(1_002);
});
