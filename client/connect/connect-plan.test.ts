import { beforeEach, describe, expect, test } from "vitest";
import { plainEndpoint, type Resolution } from "../answers/resolution.ts";
import { addressOf } from "../testing/doh-server.ts";
import { ConnectPlan, type PlanEnd } from "./connect-plan.ts";
import type { Candidate } from "./endpoint-order.ts";

const [a, b, c] = [candidate(1), candidate(2), candidate(3)];
const notFound: Resolution = { kind: "not-found", reason: "gone" };

let now: number;
let patience: number | undefined;
let wasPublished: boolean;
let plan: ConnectPlan;
/** All it said since it was last looked at. */
let said: string[];
let wakeAt: number | undefined;
let end: PlanEnd | undefined;

beforeEach(() => {
  now = 0;
  patience = undefined;
  wasPublished = false;
});

describe("the candidates of one answer", () => {
  test("are begun 250 ms apart, while earlier ones go on", () => {
    start(a, b, c);
    expect(said).toEqual(["dial 1"]);
    expect(wakeAt).toBe(250);
    at(249);
    expect(said).toEqual([]);
    at(250);
    expect(said).toEqual(["dial 2"]);
    at(500);
    expect(said).toEqual(["dial 3"]);
  });

  test("are begun at once when one fails", () => {
    start(a, b, c);
    fail(a, 10);
    expect(said).toEqual(["dial 2"]);
    expect(wakeAt).toBe(260);
  });

  test("that all fail end it, each told with its failure", () => {
    start(a, b);
    fail(a, 1);
    fail(b, 2, "EHOSTUNREACH");
    const failures = [
      { candidate: a, errno: "ECONNREFUSED" },
      { candidate: b, errno: "EHOSTUNREACH" },
    ];
    expect(end).toEqual({ kind: "connect-failed", failures });
  });

  test("that are silent are given up when the time is over, and are late", () => {
    start(a, b);
    at(250);
    at(1_000);
    at(1_250);
    expect(wakeAt).toBe(10_000);
    at(10_000);
    expect(said).toEqual(["late 1", "late 2"]);
    expect(end).toMatchObject({ failures: [{ errno: "ETIMEDOUT" }, { errno: "ETIMEDOUT" }] });
  });

  test("that are none end it at once", () => {
    start();
    expect(end).toEqual({ kind: "connect-failed", failures: [] });
  });
});

describe("when all failed, and the name may be asked again", () => {
  beforeEach(() => {
    patience = 10_000;
    start(a);
    fail(a, 5);
  });

  test("a fresh answer is asked for, once, and waited for", () => {
    expect(said).toEqual(["ask"]);
    expect(end).toBeUndefined();
    expect(wakeAt).toBe(10_005);
    at(300);
    expect(said).toEqual([]);
  });

  test("what the answer has besides is tried at once, what just failed is not", () => {
    answer([a, b], 20);
    expect(said).toEqual(["dial 2"]);
  });

  test("the same answer again changes nothing until it is tried again", () => {
    answer([a], 20);
    expect(said).toEqual([]);
    retry(120);
    expect(said).toEqual(["dial 1"]);
    expect(plan.retry(130)).toBe(false);
  });

  test("what is unreachable is tried again after a second only", () => {
    answer([b], 20);
    fail(b, 30, "EHOSTUNREACH");
    expect(plan.retry(1_029)).toBe(false);
    expect(plan.retry(1_030)).toBe(true);
  });

  test("one that went and comes again is tried at once", () => {
    answer(notFound, 20);
    answer([a], 40);
    expect(said).toEqual(["dial 1"]);
  });

  test("an attempt at what a newer answer no longer names is called off", () => {
    answer([b], 20);
    answer([c], 40);
    expect(said).toEqual(["drop 2", "dial 3"]);
  });

  test("the patience ends with what was last known", () => {
    answer(notFound, 20);
    answer({ kind: "no-answer", reason: "the resolver is gone" }, 40);
    at(10_004);
    expect(end).toBeUndefined();
    at(10_005);
    expect(end).toEqual(notFound);
  });

  test("endpoints that go on failing are told as such", () => {
    answer([b], 20);
    fail(b, 30, "EHOSTUNREACH");
    at(10_005);
    expect(end).toMatchObject({ kind: "connect-failed", failures: [{ candidate: a }, { candidate: b }] });
  });

  test("a new endpoint has its whole time, even at the end of the patience", () => {
    answer([b], 10_000);
    at(10_005);
    expect(end).toBeUndefined();
    at(20_000);
    expect(said).toEqual(["late 2"]);
    expect(end).toMatchObject({ kind: "connect-failed" });
  });

  test.each<Resolution>([{ kind: "not-allowed" }, { kind: "no-token", reason: "none" }])(
    "$kind ends it at once",
    (refusal) => {
      answer([b], 20);
      answer(refusal, 30);
      expect(said).toEqual(["drop 2"]);
      expect(end).toEqual(refusal);
    },
  );
});

describe("a port that the name does not have", () => {
  const notPublished: Resolution = { kind: "port-not-published", published: [443] };

  beforeEach(() => {
    patience = 10_000;
  });

  test("ends it with the first fresh answer that says so", () => {
    start(notPublished);
    expect(said).toEqual(["ask"]);
    answer(notPublished, 20);
    expect(end).toEqual(notPublished);
  });

  test("is waited for when it was published a moment ago, for as long as the patience lasts", () => {
    wasPublished = true;
    start(notPublished);
    answer(notPublished, 20);
    // Even when by then that moment is long ago.
    wasPublished = false;
    answer(notPublished, 9_000);
    expect(end).toBeUndefined();
    at(10_000);
    expect(end).toEqual(notPublished);
  });

  test("is waited for when an answer had it a moment ago, and attempts at it are called off", () => {
    start(notPublished);
    answer([b], 20);
    answer(notPublished, 30);
    expect(said).toEqual(["drop 2"]);
    expect(end).toBeUndefined();
    answer([c], 40);
    expect(said).toEqual(["dial 3"]);
  });
});

test("without patience it ends with the first fresh answer that has nothing else", () => {
  patience = 0;
  start(a);
  fail(a, 5);
  expect(said).toEqual(["ask"]);
  expect(end).toBeUndefined();
  answer([a], 20);
  expect(end).toMatchObject({ kind: "connect-failed" });
});

test("without patience what the fresh answer has besides is tried", () => {
  patience = 0;
  start(a);
  fail(a, 5);
  answer([b], 20);
  expect(said).toEqual(["dial 2"]);
  fail(b, 30);
  expect(end).toMatchObject({ kind: "connect-failed", failures: [{ candidate: a }, { candidate: b }] });
});

test("silence of all for a second raises doubt: it asks while the attempts go on, and takes what comes", () => {
  patience = 10_000;
  start(a, b);
  at(250);
  expect(said).toEqual(["dial 2"]);
  at(999);
  expect(said).toEqual([]);
  expect(wakeAt).toBe(1_000);
  at(1_000);
  expect(said).toEqual(["ask"]);
  answer([a, c], 1_300);
  expect(said).toEqual(["drop 2", "dial 3"]);
  fail(c, 1_310);
  expect(end).toBeUndefined();
});

describe("silence of many", () => {
  const many = Array.from({ length: 40 }, (_, index) => candidate(index + 1));

  beforeEach(() => {
    patience = 10_000;
    start(...many);
    for (const time of [250, 500, 750]) at(time);
  });

  test("raises doubt before all of them were tried", () => {
    expect(wakeAt).toBe(1_000);
    at(1_000);
    expect(said).toEqual(["ask", "dial 5"]);
    answer([c, b, candidate(99)], 1_010);
    expect(said).toEqual(["drop 1", "drop 4", "drop 5", "dial 99"]);
  });

  test("neither speeds up nor lasts longer for answers that bring nothing new", () => {
    at(1_000);
    answer(many, 1_010);
    expect(said).toEqual([]);
    expect(wakeAt).toBe(1_250);
    at(10_000);
    expect(end).toBeUndefined();
    expect(said).toHaveLength(5);
    expect(said).toContain("late 1");
  });
});

test("the patience is counted from when the silent ones were given up", () => {
  patience = 10_000;
  start(a);
  at(1_000);
  at(10_000);
  expect(said).toEqual(["late 1"]);
  answer([a], 10_001);
  at(19_999);
  expect(end).toBeUndefined();
  at(20_000);
  expect(end).toMatchObject({ kind: "connect-failed", failures: [{ errno: "ETIMEDOUT" }] });
});

describe("while no resolver answers", () => {
  const silent: Resolution = { kind: "no-answer", reason: "the resolver is gone" };

  test("what an answer of before names is tried again for 10 s, and when a resolver answers again", () => {
    patience = 60_000;
    start(a);
    fail(a, 5);
    answer(silent, 20);
    retry(9_999);
    fail(a, 9_999);
    expect(plan.retry(10_100)).toBe(false);
    answer([a], 20_000);
    retry(20_100);
  });

  test("a stale one is tried again until it is too old", () => {
    patience = 10_000;
    start({ ...plainEndpoint([addressOf("10.0.0.5")], 1, true), staleUntil: 1_000 }, a);
    fail(a, 5);
    answer(silent, 20);
    retry(999);
    fail(a, 999);
    expect(plan.retry(1_000)).toBe(false);
    at(10_005);
    expect(end).toMatchObject({ kind: "connect-failed" });
  });
});

test("a name that is gone is waited for from the start", () => {
  patience = 10_000;
  start(notFound);
  expect(said).toEqual(["ask"]);
  answer([a], 300);
  expect(said).toEqual(["dial 1"]);
});

function start(...first: (Candidate | Resolution)[]): void {
  const candidates = first.filter((each): each is Candidate => !("kind" in each));
  const given = first.find((each): each is Resolution => "kind" in each);
  const found = given ?? plainEndpoint([addressOf("10.0.0.5")], 1, true);
  plan = new ConnectPlan(
    { connectMs: 10_000, patience: () => patience, wasPublished: () => wasPublished },
    found,
    candidates,
    now,
  );
  look();
}

function at(time: number): void {
  now = time;
  look();
}

function fail(failed: Candidate, time: number, errno = "ECONNREFUSED"): void {
  now = time;
  plan.failed(failed, errno, now);
  look();
}

function answer(answered: Resolution | Candidate[], time: number): void {
  now = time;
  const candidates = Array.isArray(answered) ? answered : [];
  const found = Array.isArray(answered) ? plainEndpoint([addressOf("10.0.0.5")], 1, true) : answered;
  const dropped = plan.answered(found, candidates, now).map(({ candidate: { port } }) => `drop ${port}`);
  look(dropped);
}

function retry(time: number): void {
  now = time;
  expect(plan.retry(now)).toBe(true);
  look();
}

function look(before: string[] = []): void {
  said = [...before];
  for (;;) {
    const step = plan.next(now);
    ({ wakeAt, end } = step);
    said.push(...step.drop.map(({ candidate: { port }, late }) => `${late ? "late" : "drop"} ${port}`));
    if (step.ask) said.push("ask");
    if (step.dial === undefined) return;
    said.push(`dial ${step.dial.port}`);
  }
}

function candidate(port: number): Candidate {
  return { address: addressOf("10.0.0.5"), port };
}
