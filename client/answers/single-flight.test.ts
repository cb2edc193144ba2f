import { expect, test } from "vitest";

import { type Flight, SingleFlight } from "./single-flight.ts";

/** Questions that land when the test says so. */
function asker() {
  const flights = new SingleFlight<string>();
  const asked: { isFresh: boolean; flight: Flight; land(value: string): Promise<void> }[] = [];
  const ask = (flight: Flight, isFresh: boolean): Promise<string> => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const land = async (value: string): Promise<void> => {
      resolve(value);
      await promise;
      // Those who wait behind it set off after it has landed.
      await new Promise((done) => setImmediate(done));
    };
    asked.push({ isFresh, flight, land });
    return promise;
  };
  return { asked, flights, join: (isFresh = false, key = "web") => flights.join(key, isFresh, ask) };
}

test("one question is asked for all who want its answer meanwhile, and anew after it", async () => {
  const { asked, join } = asker();
  const answers = [join(), join(), join()];
  expect(asked).toHaveLength(1);
  await asked[0]?.land("one");
  expect(await Promise.all(answers)).toEqual(["one", "one", "one"]);
  void join();
  expect(asked).toHaveLength(2);
});

test("different questions do not wait for one another", () => {
  const { asked, join } = asker();
  void join(false, "web");
  void join(false, "db");
  expect(asked).toHaveLength(2);
});

test("who wants a fresh answer does not get one that was asked for before", async () => {
  const { asked, join } = asker();
  const old = join();
  const fresh = [join(true), join(true), join(true)];
  expect(asked).toHaveLength(1);
  await asked[0]?.land("old");
  expect(await old).toBe("old");
  expect(asked.map(({ isFresh }) => isFresh)).toEqual([false, true]);
  await asked[1]?.land("new");
  expect(await Promise.all(fresh)).toEqual(["new", "new", "new"]);
});

test("not even one that was fresh for somebody who came before", async () => {
  const { asked, join } = asker();
  const first = join(true);
  const later = [join(true), join(true)];
  await asked[0]?.land("first");
  await asked[1]?.land("second");
  expect(await Promise.all([first, ...later])).toEqual(["first", "second", "second"]);
  expect(asked).toHaveLength(2);
});

test("who does not mind joins a fresh question", async () => {
  const { asked, join } = asker();
  const answers = [join(true), join()];
  await asked[0]?.land("fresh");
  expect(await Promise.all(answers)).toEqual(["fresh", "fresh"]);
  expect(asked).toHaveLength(1);
});

test("a question whose object changed meanwhile is joined by nobody else", async () => {
  const { asked, flights, join } = asker();
  const before = join();
  flights.outdate("web");
  expect(asked[0]?.flight.isOutdated).toBe(true);
  const after = join();
  expect(asked).toHaveLength(2);
  await asked[0]?.land("old");
  // The old one's landing is not the new one's.
  const later = join();
  expect(asked).toHaveLength(2);
  await asked[1]?.land("new");
  expect(await Promise.all([before, after, later])).toEqual(["old", "new", "new"]);
  expect(asked[1]?.flight.isOutdated).toBe(false);
});

test("a change sends off at once who waited behind the question under way", async () => {
  const { asked, flights, join } = asker();
  void join();
  const fresh = join(true);
  flights.outdateAll();
  expect(asked).toHaveLength(2);
  await asked[1]?.land("new");
  expect(await fresh).toBe("new");
  expect([...flights.keys()]).toEqual([]);
});
