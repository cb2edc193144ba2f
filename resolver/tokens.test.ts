import { beforeEach, describe, expect, test, vi } from "vitest";

import { bootstrapAccess } from "./access.ts";
import { makeToken } from "./testing/tokens.ts";
import type { TokenRecord } from "./token-table.ts";
import { hashOfToken, isSameHash } from "./token-text.ts";
import { createTokenCheck } from "./tokens.ts";

vi.mock("./token-text.ts", async (original) => {
  const real = await original<typeof import("./token-text.ts")>();
  return { ...real, isSameHash: vi.fn(real.isSameHash), hashOfToken: vi.fn(real.hashOfToken) };
});
beforeEach(() => void vi.clearAllMocks());

const bootstrap = {
  agent: "agent-bootstrap-token",
  reader: "reader-bootstrap-token",
  admin: "admin-bootstrap-token",
};

function makeCheck(records: TokenRecord[] = [], tokens: Partial<typeof bootstrap> = bootstrap) {
  const clock = { now: 10_000 };
  const find = vi.fn(async (id: string) => records.find((record) => record.id === id));
  const check = createTokenCheck({ bootstrap: tokens, table: { find }, now: () => clock.now });
  return { check: (text: string) => check.check(text), find, clock };
}

describe("a bootstrap token", () => {
  test.each(["agent", "reader", "admin"] as const)("stands for the operator, as %s", async (kind) => {
    expect(await makeCheck().check(bootstrap[kind])).toEqual(bootstrapAccess(kind));
  });

  test("works while the table cannot be read", async () => {
    const { check, find } = makeCheck();
    find.mockRejectedValue(new Error("etcd is away"));
    expect((await check(bootstrap.admin)).kind).toBe("admin");
  });

  test("that is not there is not matched by anything", async () => {
    const { check } = makeCheck([], { agent: bootstrap.agent });
    for (const text of [bootstrap.reader, "", "undefined", "0".repeat(64)]) {
      await expect(check(text)).rejects.toMatchObject({ code: "unknown-token" });
    }
  });

  test("of two kinds at once is refused at the start, and so is one too long to be sent", () => {
    expect(() => makeCheck([], { agent: bootstrap.agent, reader: bootstrap.agent })).toThrow(
      expect.objectContaining({ code: "bad-config", message: expect.not.stringContaining(bootstrap.agent) }),
    );
    expect(() => makeCheck([], { agent: "a".repeat(201) })).toThrow(
      expect.objectContaining({ code: "bad-config" }),
    );
  });
});

describe("a created token", () => {
  test("stands for its owner and scope, and for nothing the registry need not know", async () => {
    const scope = { names: ["*.shop"], hosts: [], maxBindings: 3, maxLease: null };
    const { id, text, record } = await makeToken(1, { scope });
    expect(await makeCheck([record]).check(text)).toEqual({
      tokenId: id,
      kind: "agent",
      owner: "team-a",
      scope,
    });
  });

  test("says until when it is good, and is good until then and no longer", async () => {
    const { id, text, record } = await makeToken(1, { expiresAt: 20_000 });
    const { check, clock } = makeCheck([record]);
    clock.now = 19_999;
    expect(await check(text)).toMatchObject({ tokenId: id, expiresAt: 20_000 });
    clock.now = 20_000;
    await expect(check(text)).rejects.toMatchObject({
      code: "token-expired",
      who: `token ${id}`,
      message: expect.stringMatching(/1970-01-01T00:00:20.000Z; ask whoever runs/),
    });
  });

  test("that was revoked is refused as such, expired or not", async () => {
    const { id, text, record } = await makeToken(1, { revokedAt: 5_000, expiresAt: 6_000 });
    await expect(makeCheck([record]).check(text)).rejects.toMatchObject({
      code: "token-revoked",
      who: `token ${id}`,
      message: expect.stringContaining("ask whoever runs"),
    });
  });

  test("tells that it was revoked only to who has the secret", async () => {
    const { text, record } = await makeToken(1, { revokedAt: 5_000 });
    const guess = `${text.slice(0, 17)}${"A".repeat(43)}`;
    const { check, find } = makeCheck([record]);
    await expect(check(guess)).rejects.toMatchObject({ code: "unknown-token" });
    expect(find).toHaveBeenCalledWith(record.id);
  });

  test("says nothing of itself in the refusal", async () => {
    const { text } = await makeToken(1);
    await expect(makeCheck().check(text)).rejects.toMatchObject({
      code: "unknown-token",
      message: expect.not.stringContaining(text.slice(6, 16)),
    });
  });

  test("cannot be judged while the table cannot be read: the fault is told, not a verdict", async () => {
    const { text } = await makeToken(1);
    const { check, find } = makeCheck();
    find.mockRejectedValue(new Error("etcd is away"));
    await expect(check(text)).rejects.toThrow("etcd is away");
  });
});

describe("a guess", () => {
  test("over 200 characters is refused unhashed, and looked up nowhere", async () => {
    const { check, find } = makeCheck();
    await check(bootstrap.agent);
    vi.mocked(hashOfToken).mockClear();
    await expect(check("a".repeat(10_000_000))).rejects.toMatchObject({ code: "unknown-token" });
    expect(hashOfToken).not.toHaveBeenCalled();
    expect(find).not.toHaveBeenCalled();
  });

  test("of another form than a created token is looked up nowhere", async () => {
    const { check, find } = makeCheck();
    await expect(check("berth_abc")).rejects.toMatchObject({ code: "unknown-token" });
    expect(find).not.toHaveBeenCalled();
  });

  test.each([
    ["all bootstrap tokens", bootstrap],
    ["one of them", { reader: bootstrap.reader }],
    ["none of them", {}],
  ])("is compared as often with %s there, with the id known or not", async (_, tokens) => {
    const { text, record } = await makeToken(1);
    const { check } = makeCheck([record], tokens);
    const unknown = (await makeToken(2)).text;
    for (const guess of [`${text.slice(0, -1)}B`, unknown, "no form at all"]) {
      vi.mocked(isSameHash).mockClear();
      await expect(check(guess)).rejects.toMatchObject({ code: "unknown-token" });
      expect(vi.mocked(isSameHash)).toHaveBeenCalledTimes(4);
    }
  });

  test.each(["agent", "reader", "admin"] as const)(
    "that is right for %s is compared with the others all the same",
    async (kind) => {
      await makeCheck().check(bootstrap[kind]);
      expect(vi.mocked(isSameHash)).toHaveBeenCalledTimes(3);
    },
  );
});
