import { expect, test } from "vitest";

import { FakeClock, settle } from "../../agent/testing/fake-clock.ts";
import { BerthError } from "../../shared/errors.ts";
import { createLog } from "../../shared/log.ts";
import { type Name, parseName } from "../../shared/name.ts";
import { LearntZones } from "./zones.ts";

const [shop, lab] = [parseName("shop.example"), parseName("lab.example")];

class Bed {
  readonly clock = new FakeClock();
  readonly lines: string[] = [];
  readonly changes: string[] = [];
  readonly zones: LearntZones;
  /** What the resolver says; undefined when it says nothing. */
  says: Name[] | undefined = [shop];
  asked = 0;

  constructor(known?: Name[]) {
    this.zones = new LearntZones(known, {
      log: createLog("berth", "info", (line) => this.lines.push(line)),
      list: async () => {
        this.asked++;
        if (this.says !== undefined) return this.says;
        throw new BerthError("resolver-unreachable", "nobody is there");
      },
      after: (ms, run) => this.clock.after(ms, run),
      onChange: (names) => this.changes.push(names.join(" ")),
    });
  }
}

test("the zones are the usual one until they are learnt, or those of an earlier life", () => {
  expect(new Bed().zones.current()).toEqual(["berth.internal."]);
  expect(new Bed([shop]).zones.current()).toEqual([shop]);
});

test("they are asked for at once and every ten minutes, and told when they are others", async () => {
  const bed = new Bed();
  void bed.zones.start();
  await settle();
  expect(bed.zones.current()).toEqual([shop]);
  await bed.clock.advance(599_999);
  expect(bed.asked).toBe(1);
  bed.says = [shop, lab, shop];
  await bed.clock.advance(1);
  await bed.clock.advance(600_000);
  expect(bed.asked).toBe(3);
  expect(bed.changes).toEqual(["shop.example.", "lab.example. shop.example."]);
  expect(bed.lines.at(-1)).toContain("answers for lab.example, shop.example");
});

test("they stay what they were while nobody says, and are asked for ever less often, up to once a minute", async () => {
  const bed = new Bed([lab]);
  bed.says = undefined;
  const times: number[] = [];
  void bed.zones.start();
  for (let seconds = 0; seconds < 300; seconds++) {
    const before = bed.asked;
    await bed.clock.advance(1_000);
    if (bed.asked > before) times.push(bed.clock.now() / 1000);
  }
  expect(times).toEqual([1, 3, 7, 15, 31, 63, 123, 183, 243]);
  expect(bed.zones.current()).toEqual([lab]);
  expect(bed.changes).toEqual([]);
  expect(bed.lines).toEqual([expect.stringContaining("so lab.example it is: nobody is there")]);
  bed.says = [shop];
  await bed.clock.advance(60_000);
  expect(bed.zones.current()).toEqual([shop]);
  expect(bed.lines).toHaveLength(2);
});

test("that they are known at last is told once, though they are what they were taken for", async () => {
  const bed = new Bed([shop]);
  bed.says = undefined;
  await bed.zones.start();
  bed.says = [shop];
  await bed.clock.advance(1_000);
  await bed.clock.advance(600_000);
  expect(bed.asked).toBe(3);
  expect(bed.lines.slice(1)).toEqual([expect.stringContaining("answers for shop.example")]);
  expect(bed.changes).toEqual([]);
});

test("no resolver gets every name there is, nor leaves none, nor brings more than can be looked through", async () => {
  const bed = new Bed();
  bed.says = [parseName("."), shop];
  await bed.zones.start();
  expect(bed.zones.current()).toEqual([shop]);
  bed.says = [parseName(".")];
  await bed.clock.advance(600_000);
  expect(bed.zones.current()).toEqual([shop]);
  expect(bed.lines.at(-1)).toContain("no zone");
  bed.says = Array.from({ length: 1_000 }, (_, index) => parseName(`z${index}.example`));
  await bed.clock.advance(1_000);
  expect(bed.zones.current()).toHaveLength(64);
});

test("who must know them can wait until they were asked for once, whatever came of it", async () => {
  const bed = new Bed();
  bed.says = undefined;
  const asked = bed.zones.firstAsked();
  expect(asked).toBeInstanceOf(Promise);
  void bed.zones.start();
  await asked;
  expect(bed.zones.firstAsked()).toBeUndefined();
});

test("nobody waits for what an earlier life has learnt", () => {
  expect(new Bed([shop]).zones.firstAsked()).toBeUndefined();
});

test("nobody is asked after the end", async () => {
  const bed = new Bed();
  await bed.zones.start();
  bed.zones.stop();
  await bed.clock.advance(3_600_000);
  expect(bed.asked).toBe(1);
});
