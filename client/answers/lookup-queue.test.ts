import { expect, test } from "vitest";

import { LookupQueue } from "./lookup-queue.ts";

/** Look-ups that end when the test says so, in a time that only the test moves. */
function queueOf(limits: { atOnce?: number; waiting?: number }) {
  const clock = { now: 0 };
  const queue = new LookupQueue({ atOnce: 1, waiting: 10, waitMs: 5_000, ...limits }, () => clock.now);
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<string>>();
  function run(name: string): Promise<string> {
    const end = Promise.withResolvers<string>();
    ends.set(name, end);
    const outcome = queue.run(() => {
      begun.push(name);
      return end.promise;
    });
    return outcome.catch((fault) => fault.code ?? fault.message);
  }
  return { clock, begun, run, end: (name: string) => ends.get(name)?.resolve(name), ends };
}

test("so many look-ups run at once, and the others in their order as places become free", async () => {
  const { begun, run, end } = queueOf({ atOnce: 2 });
  const outcomes = ["a", "b", "c", "d"].map(run);
  expect(begun).toEqual(["a", "b"]);
  end("b");
  await outcomes[1];
  expect(begun).toEqual(["a", "b", "c"]);
  for (const name of ["a", "c", "d"]) end(name);
  expect(await Promise.all(outcomes)).toEqual(["a", "b", "c", "d"]);
  void run("e");
  void run("f");
  void run("g");
  expect(begun.slice(4)).toEqual(["e", "f"]);
});

test("one that fails, or throws at once, leaves its place as well", async () => {
  const { begun, run, ends } = queueOf({});
  const outcomes = [run("a"), run("b")];
  ends.get("a")?.reject(new Error("broken"));
  expect(await outcomes[0]).toBe("broken");
  expect(begun).toEqual(["a", "b"]);
});

test("so many wait, and the next is turned away at once", async () => {
  const { run, end } = queueOf({ waiting: 2 });
  const waiting = [run("a"), run("b"), run("c")];
  expect(await run("d")).toBe("lookups-busy");
  end("a");
  await waiting[0];
  const again = run("d");
  for (const name of ["b", "c", "d"]) end(name);
  expect(await Promise.all([...waiting, again])).toEqual(["a", "b", "c", "d"]);
});

test("who waited too long never begins, and keeps nobody else out", async () => {
  const { clock, begun, run, end } = queueOf({ waiting: 2 });
  const [stuck, late, lateToo] = [run("stuck"), run("late"), run("late too")];
  clock.now = 4_999;
  expect(await run("nobody")).toBe("lookups-busy");
  clock.now = 5_000;
  const soon = run("soon");
  expect(await Promise.all([late, lateToo])).toEqual(["lookups-busy", "lookups-busy"]);
  end("stuck");
  await stuck;
  expect(begun).toEqual(["stuck", "soon"]);
  end("soon");
  expect(await soon).toBe("soon");
});

test("a place that becomes free goes to the first who has not waited too long", async () => {
  const { clock, begun, run, end } = queueOf({});
  const [stuck, late] = [run("stuck"), run("late")];
  clock.now = 3_000;
  void run("soon");
  clock.now = 6_000;
  end("stuck");
  await stuck;
  expect(await late).toBe("lookups-busy");
  expect(begun).toEqual(["stuck", "soon"]);
});
