import { expect, test } from "vitest";

import { type Drainable, drain } from "./drain.ts";

class Connection implements Drainable {
  isWaiting = false;
  bytes = 0;
  readonly ends: string[] = [];
  readonly #open: Set<Drainable>;

  constructor(open: Set<Drainable>) {
    this.#open = open;
    open.add(this);
  }

  bytesMoved(): number {
    return this.bytes;
  }

  end(): void {
    this.ends.push("end");
    this.#open.delete(this);
  }

  destroy(): void {
    this.ends.push("destroy");
    this.#open.delete(this);
  }
}

test("a quiet connection is ended, a busy one when it has become quiet", async () => {
  const open = new Set<Drainable>();
  const [quiet, busy] = [new Connection(open), new Connection(open)];
  const timer = setInterval(() => busy.bytes++, 20);
  const quietEnded = Promise.withResolvers<string[]>();
  quiet.end = () => {
    open.delete(quiet);
    clearInterval(timer);
    quietEnded.resolve(busy.ends.slice());
  };
  await drain(open, 60_000);
  expect(await quietEnded.promise).toEqual([]);
  expect(busy.ends).toEqual(["end"]);
});

test("when the time is over all are destroyed, those that wait for an endpoint included", async () => {
  const open = new Set<Drainable>();
  const [waiting, busy] = [new Connection(open), new Connection(open)];
  waiting.isWaiting = true;
  const timer = setInterval(() => busy.bytes++, 20);
  await drain(open, 1_500);
  clearInterval(timer);
  expect([waiting.ends, busy.ends]).toEqual([["destroy"], ["destroy"]]);
});

test("no time at all destroys at once", async () => {
  const open = new Set<Drainable>();
  const connection = new Connection(open);
  await drain(open, 0);
  expect(connection.ends).toEqual(["destroy"]);
});
