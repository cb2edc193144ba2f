import { expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { addressOf } from "../testing/doh-server.ts";
import { OutsideNames } from "./outside-names.ts";

const one = addressOf("192.0.2.1");

/** A system that says what the test has it say, when the test has it. */
function namesOf(limits: { atOnce?: number; waiting?: number } = {}) {
  const clock = { now: 0 };
  const asked: { name: string; say(addresses: readonly Address[]): void; fail(code: string): void }[] = [];
  const names = new OutsideNames({
    lookup(name) {
      const { promise, resolve, reject } = Promise.withResolvers<readonly Address[]>();
      const fail = (code: string) => reject(Object.assign(new Error(`getaddrinfo ${code}`), { code }));
      asked.push({ name, say: resolve, fail });
      return promise;
    },
    now: () => clock.now,
    limits: { atOnce: 10, waiting: 10, waitMs: 5_000, ...limits },
  });
  const ask = (name: string, isFresh = false) =>
    names.addressesOf(name, isFresh).catch((fault: { code: string }) => fault.code);
  return { asked, clock, ask };
}

test("one look-up is made for all who want a name meanwhile, in whatever letters", async () => {
  const { asked, ask } = namesOf();
  const answers = [ask("a.example"), ask("A.Example"), ask("b.example"), ask("a.example.")];
  expect(asked.map(({ name }) => name)).toEqual(["a.example", "b.example", "a.example."]);
  for (const { say } of asked) say([one]);
  expect(await Promise.all(answers)).toEqual(Array(4).fill([one]));
});

test("an answer is remembered for five seconds, a negative one and a failure for one", async () => {
  const { asked, clock, ask } = namesOf();
  const first = [ask("good.example"), ask("none.example"), ask("broken.example"), ask("empty.example")];
  asked[0]?.say([one]);
  asked[1]?.fail("ENOTFOUND");
  asked[2]?.fail("EAI_AGAIN");
  asked[3]?.say([]);
  const outcomes = [[one], "ENOTFOUND", "EAI_AGAIN", []];
  expect(await Promise.all(first)).toEqual(outcomes);
  clock.now = 999;
  const names = ["good.example", "none.example", "broken.example", "empty.example"];
  expect(await Promise.all(names.map((name) => ask(name)))).toEqual(outcomes);
  expect(asked).toHaveLength(4);
  clock.now = 1_000;
  for (const name of names) void ask(name);
  expect(asked.slice(4).map(({ name }) => name)).toEqual(names.slice(1));
  clock.now = 4_999;
  expect(await ask("good.example")).toEqual([one]);
  clock.now = 5_000;
  void ask("good.example");
  expect(asked.slice(7).map(({ name }) => name)).toEqual(["good.example"]);
});

test("who wants a fresh answer gets neither a remembered one nor one that was asked for before", async () => {
  const { asked, ask } = namesOf();
  const first = ask("a.example");
  asked[0]?.say([one]);
  await first;
  const fresh = ask("a.example", true);
  const fresher = ask("a.example", true);
  expect(asked).toHaveLength(2);
  asked[1]?.say([]);
  expect(await fresh).toEqual([]);
  expect(asked).toHaveLength(3);
  asked[2]?.say([one]);
  expect(await fresher).toEqual([one]);
});

test("names whose servers are silent are one look-up each, and beyond the bound others are refused, not remembered", async () => {
  const { asked, ask } = namesOf({ atOnce: 2, waiting: 1 });
  const silent = [ask("x.example"), ask("y.example"), ask("x.example"), ask("y.example")];
  const waiting = ask("a.example");
  expect(await ask("b.example")).toBe("lookups-busy");
  asked[0]?.fail("EAI_AGAIN");
  await silent[0];
  const again = ask("b.example");
  asked[1]?.fail("EAI_AGAIN");
  await silent[1];
  expect(asked.map(({ name }) => name)).toEqual(["x.example", "y.example", "a.example", "b.example"]);
  for (const { say } of asked.slice(2)) say([one]);
  expect(await Promise.all([waiting, again])).toEqual([[one], [one]]);
  expect(await Promise.all(silent)).toEqual(Array(4).fill("EAI_AGAIN"));
});

test("so many names are remembered: the one kept first goes", async () => {
  const { asked, ask } = namesOf();
  for (let index = 0; index <= 1_000; index++) {
    const answer = ask(`${index}.example`);
    asked.at(-1)?.say([one]);
    await answer;
  }
  expect(await ask("1.example")).toEqual([one]);
  expect(asked).toHaveLength(1_001);
  void ask("0.example");
  expect(asked).toHaveLength(1_002);
});

test("an answer that a stranger made long is given whole, and not kept", async () => {
  const { asked, ask } = namesOf();
  const long = Array.from({ length: 101 }, (_, index) => addressOf(`192.0.2.${index}`));
  const answer = ask("long.example");
  asked[0]?.say(long);
  expect(await answer).toEqual(long);
  void ask("long.example");
  expect(asked).toHaveLength(2);
});
