import { describe, expect, test } from "vitest";

import { createLog } from "../../shared/log.ts";
import { createEdgeReader, type ZoneCopy, type ZoneTruth } from "./edge-reader.ts";
import type { ZoneView } from "./zone.ts";

const owner = "web.berth.internal.";
const quiet = createLog("test", "error", () => undefined);
const truthView: ZoneView = { serial: 9, revision: 9, exists: true, rrsets: [], additional: [] };
const absent: ZoneView = { serial: 9, revision: 9, exists: false, rrsets: [], additional: [] };

const copyOf = (serial: number): ZoneCopy => ({
  get: async () =>
    JSON.stringify({
      serial,
      entry: { owner, rrsets: [{ ttl: 5, rdata: [], hosts: [] }], additional: [], fixed: true },
    }),
});
const emptyCopy: ZoneCopy = { get: async () => null };
const brokenCopy: ZoneCopy = { get: async () => Promise.reject(new Error("KV is down")) };
const truth = (view: ZoneView): ZoneTruth => ({ read: async () => view });
const brokenTruth: ZoneTruth = { read: async () => Promise.reject(new Error("overloaded")) };

describe("a reader at the edge", () => {
  test("answers from the copy, without asking the truth, what the copy holds", async () => {
    const view = await createEdgeReader(copyOf(7), brokenTruth, quiet).read(owner, false);
    expect(view).toMatchObject({ serial: 7, exists: true, rrsets: [{ ttl: 5 }] });
    expect(view.stale).toBeUndefined();
  });

  test("never believes an absence: a miss asks the truth", async () => {
    expect(await createEdgeReader(emptyCopy, truth(truthView), quiet).read(owner, false)).toEqual(truthView);
    expect(await createEdgeReader(emptyCopy, truth(absent), quiet).read(owner, false)).toEqual(absent);
  });

  test("asks the truth when the copy cannot be read, or is not what was written", async () => {
    const garbled: ZoneCopy = { get: async () => "{" };
    for (const copy of [brokenCopy, garbled]) {
      expect(await createEdgeReader(copy, truth(truthView), quiet).read(owner, false)).toEqual(truthView);
    }
  });

  test("goes past the copy for a fresh answer", async () => {
    expect(await createEdgeReader(copyOf(7), truth(truthView), quiet).read(owner, true)).toEqual(truthView);
  });

  test("serves the copy marked stale while the truth is out of reach, and fails when there is none", async () => {
    expect(await createEdgeReader(copyOf(7), brokenTruth, quiet).read(owner, true)).toMatchObject({
      serial: 7,
      stale: true,
    });
    for (const copy of [emptyCopy, brokenCopy]) {
      const reading = createEdgeReader(copy, brokenTruth, quiet).read(owner, false);
      await expect(reading).rejects.toMatchObject({ code: "registry-unreachable" });
    }
  });
});
