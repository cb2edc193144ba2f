import { describe, expect, test } from "vitest";

import { parseName } from "../shared/name.ts";
import { type FitClaim, grantHostLabel, refusalsUnder, settleName, standardHoldRules } from "./grants.ts";
import type { Hold } from "./records.ts";

const name = parseName("web.berth.internal");
const minute = 60_000;
const day = 24 * 60 * minute;
/** The hold under test began at 0. */
const [young, old] = [10 * minute - 1, 10 * minute];

/** Host a is nas, and so on; every host has a token of its owner. */
const labels: Record<string, string> = { a: "nas", b: "pi", c: "rack" };

function claim(hostId: string, owner: string, fields: Partial<FitClaim> = {}): FitClaim {
  const hostLabel = labels[hostId] ?? hostId;
  return { hostId, hostLabel, owner, tokenId: `t-${owner}`, since: 5, merges: true, waits: false, ...fields };
}
const plain = (hostId: string, owner: string, fields: Partial<FitClaim> = {}) =>
  claim(hostId, owner, { merges: false, ...fields });

/** By the owner, from host a on. */
function merging(owner: string, fields: Partial<Hold> = {}): Hold {
  return { name, owner, hostLabel: "nas", tokenId: `t-${owner}`, since: 0, ...fields };
}
const exclusive = (owner: string, hostId: string) =>
  merging(owner, { hostId, hostLabel: labels[hostId] ?? hostId });
const kept = (owner: string, until: number) => merging(owner, { until });

/** "x", "x a" with the exclusive host, "x kept" with the days left, or "free". */
function told(hold: Hold | undefined, now: number): string {
  if (hold === undefined) return "free";
  if (hold.until !== undefined) return `${hold.owner} kept ${(hold.until - now) / day}`;
  return [hold.owner, hold.hostId].filter((part) => part !== undefined).join(" ");
}

type Row = [
  what: string,
  hold: Hold | undefined,
  claims: FitClaim[],
  now: number,
  holder: string,
  refused: string,
];

const rows: Row[] = [
  // Nobody has it.
  ["no claim leaves it free", undefined, [], 0, "free", ""],
  ["the first claim takes it", undefined, [claim("a", "x")], 0, "x", ""],
  ["a plain container takes it for its host", undefined, [plain("a", "x")], 0, "x a", ""],
  ["the lower since is first", undefined, [claim("a", "x"), claim("b", "y", { since: 4 })], 0, "y", "a"],
  ["of one since the lower host id is first", undefined, [claim("b", "y"), claim("a", "x")], 0, "x", "b"],
  [
    "one never refused comes before those that wait",
    undefined,
    [claim("a", "x", { waits: true, since: 1 }), claim("b", "y", { since: 9 })],
    0,
    "y",
    "a",
  ],
  ["all of the owner's merge", undefined, [claim("a", "x"), claim("b", "x"), claim("c", "x")], 0, "x", ""],
  ["another owner's does not merge", undefined, [claim("a", "x"), claim("b", "y")], 0, "x", "b"],
  ["a plain container does not merge", undefined, [claim("a", "x"), plain("b", "x")], 0, "x", "b"],
  ["two plain containers do not merge", undefined, [plain("a", "x"), plain("b", "x")], 0, "x a", "b"],
  ["nothing joins a plain container", undefined, [plain("a", "x"), claim("b", "x")], 0, "x a", "b"],
  // An owner has it and claims it still.
  ["its holder keeps it", merging("x"), [claim("a", "x")], old, "x", ""],
  [
    "older claims of others wait",
    merging("x"),
    [claim("b", "y", { since: 1 }), claim("a", "x")],
    0,
    "x",
    "b",
  ],
  ["another host of the owner carries it on", merging("x"), [claim("b", "x")], old, "x", ""],
  ["its holder may make it exclusive", merging("x"), [plain("a", "x")], old, "x a", ""],
  ["not while another of its hosts merges", merging("x"), [plain("a", "x"), claim("b", "x")], 0, "x", "a"],
  [
    "a plain container of the owner inherits it",
    merging("x"),
    [plain("b", "x"), claim("c", "y")],
    old,
    "x b",
    "c",
  ],
  // An owner has it and claims it no more.
  ["young, it is free", merging("x"), [], young, "free", ""],
  ["young, it goes to who waits", merging("x"), [claim("b", "y", { waits: true })], young, "y", ""],
  ["after ten minutes it is kept for 14 days", merging("x"), [], old, "x kept 14", ""],
  ["kept, others wait", merging("x"), [claim("b", "y"), plain("c", "z")], old, "x kept 14", "b c"],
  // One host has it.
  ["its host keeps it", exclusive("x", "a"), [plain("a", "x"), plain("b", "x", { since: 1 })], 0, "x a", "b"],
  ["its host may make it merge", exclusive("x", "a"), [claim("a", "x"), claim("b", "x")], 0, "x", ""],
  ["exclusive, it leaves no hold", exclusive("x", "a"), [], old, "free", ""],
  ["another host of the owner is only next", exclusive("x", "a"), [plain("b", "x")], old, "x b", ""],
  [
    "another owner may be next as well",
    exclusive("x", "a"),
    [plain("c", "x"), plain("b", "y", { since: 1 })],
    old,
    "y b",
    "c",
  ],
  // It is kept.
  ["it stays kept until its time is up", kept("x", 3 * day), [claim("b", "y")], 2 * day, "x kept 1", "b"],
  [
    "its owner has it back",
    kept("x", 3 * day),
    [claim("b", "y", { since: 1 }), claim("c", "x")],
    2 * day,
    "x",
    "b",
  ],
  ["its owner has it back for one container", kept("x", 3 * day), [plain("c", "x")], 2 * day, "x c", ""],
  ["its time is up at the very moment", kept("x", 3 * day), [], 3 * day, "free", ""],
  ["then it goes to who waits", kept("x", 3 * day), [claim("b", "y", { waits: true })], 3 * day, "y", ""],
  [
    "its owner comes too late",
    kept("x", 3 * day),
    [claim("b", "y", { since: 1 }), claim("a", "x")],
    3 * day,
    "y",
    "a",
  ],
  // The token of its host is another owner's.
  [
    "young, a host that alone serves it takes it along",
    merging("x"),
    [claim("a", "y", { servedFor: "x" })],
    young,
    "y",
    "",
  ],
  [
    "after ten minutes it stays its owner's",
    merging("x"),
    [claim("a", "y", { servedFor: "x" })],
    old,
    "x kept 14",
    "a",
  ],
  [
    "what came with the bootstrap token goes along at any age",
    merging("operator"),
    [claim("a", "y", { servedFor: "operator" })],
    old,
    "y",
    "",
  ],
  [
    "not while others of the owner serve it",
    merging("x"),
    [claim("a", "y", { servedFor: "x" }), claim("b", "x")],
    0,
    "x",
    "a",
  ],
  [
    "nor does one that served it for somebody else",
    merging("x"),
    [claim("a", "y", { servedFor: "z", waits: true }), claim("b", "w", { since: 9 })],
    young,
    "w",
    "a",
  ],
  [
    "one host's goes along with the host",
    exclusive("x", "a"),
    [plain("a", "y"), plain("b", "x")],
    old,
    "y a",
    "b",
  ],
];

describe("settleName", () => {
  test.each(rows)("%s", (_, hold, claims, now, holder, refused) => {
    for (const order of [claims, claims.toReversed()]) {
      const settled = settleName({ name, claims: order, hold, now, rules: standardHoldRules });
      expect(told(settled.hold, now)).toBe(holder);
      expect([...settled.refusals.keys()].toSorted().join(" ")).toBe(refused);
    }
  });

  test("counts a holder's life from when it got the name, through all that is its own", () => {
    const settle = (hold: Hold | undefined, claims: FitClaim[], now: number) =>
      settleName({ name, claims, hold, now, rules: standardHoldRules }).hold;
    expect(settle(undefined, [claim("a", "x")], 7)?.since).toBe(7);
    expect(settle(merging("x"), [claim("b", "x")], 7)?.since).toBe(0);
    expect(settle(exclusive("x", "a"), [claim("a", "x")], 7)?.since).toBe(0);
    expect(settle(kept("x", 3 * day), [claim("b", "x")], day)?.since).toBe(0);
    expect(settle(exclusive("x", "a"), [plain("b", "x")], 7)?.since, "another holder").toBe(7);
    expect(settle(merging("x"), [claim("b", "y")], 7)?.since, "another holder").toBe(7);
  });

  test("names the host that brought the name while it is there, then the next, and its token", () => {
    const settle = (claims: FitClaim[]) =>
      settleName({ name, claims, hold: merging("x"), now: 1, rules: standardHoldRules }).hold;
    const pi = claim("b", "x", { tokenId: "t-2", since: 1 });
    expect(settle([pi, claim("a", "x")])).toMatchObject({ hostLabel: "nas", tokenId: "t-x" });
    expect(settle([pi])).toMatchObject({ hostLabel: "pi", tokenId: "t-2" });
  });

  test("grants nothing while no hold stands, nor while one is only kept", () => {
    const claims = [claim("a", "x"), claim("b", "y")];
    expect([...refusalsUnder(name, merging("x"), claims).keys()]).toEqual(["b"]);
    expect([...refusalsUnder(name, kept("x", day), claims).keys()]).toEqual(["a", "b"]);
    expect([...refusalsUnder(name, undefined, claims).keys()]).toEqual(["a", "b"]);
  });

  test.each([
    [
      "a plain container beside an owner's name",
      merging("x"),
      plain("b", "x"),
      "host nas (owner x); a plain container's name does not join it; give this container a berth.name label",
    ],
    [
      "a second plain container",
      exclusive("x", "a"),
      plain("b", "x"),
      "host nas (owner x); give the containers a common berth.name label if they are replicas",
    ],
    [
      "another owner",
      merging("x"),
      claim("b", "y"),
      "host nas (owner x); give this container another name with a berth.name label",
    ],
    [
      "another owner beside one container",
      exclusive("x", "a"),
      plain("b", "y"),
      "host nas (owner x); give this container another name",
    ],
    [
      "anybody while it is kept",
      kept("x", Date.UTC(2027, 0, 2, 3, 4, 5, 600)),
      claim("b", "y"),
      'owner x, who had it on host nas, until 2027-01-02T03:04:05Z; an administrator frees it with "berth names release web.berth.internal"',
    ],
  ])("tells %s who has it and what would help", (_, hold, waiting, message) => {
    const serving = hold.until === undefined ? [claim("a", "x", { merges: hold.hostId === undefined })] : [];
    const claims = [...serving, waiting];
    const { refusals } = settleName({ name, claims, hold, now: 1, rules: standardHoldRules });
    expect(refusals.get("b")).toMatchObject({ name, code: "held", holder: { owner: "x", hostLabel: "nas" } });
    expect(refusals.get("b")?.message).toContain(message);
    expect(refusals.get("b")?.message).toMatch(/^web\.berth\.internal is (held by|kept for)/);
  });
});

describe("grantHostLabel", () => {
  const hostId = "abcdefgh".repeat(7).slice(0, 52);
  test.each([
    ["is the declared one when that is free", "nas", [], "nas"],
    ["has as much of the host id as it takes", "nas", ["nas"], "nas-abcdef"],
    ["has more when that is taken too", "nas", ["nas", "nas-abcdef"], "nas-abcdefg"],
    ["stays within a label's length", "n".repeat(63), ["n".repeat(63)], `${"n".repeat(56)}-abcdef`],
  ])("%s", (_, declared, taken, label) => {
    const granted = grantHostLabel(declared, hostId, (one) => taken.includes(one));
    expect(granted).toBe(label);
    expect(granted.length).toBeLessThanOrEqual(63);
  });
});
