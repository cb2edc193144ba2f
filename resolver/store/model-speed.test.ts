import fc from "fast-check";
import { test } from "vitest";
import { standardSettings } from "../settings.ts";
import { zone } from "./contract/builders.ts";
import { histories } from "./contract/model/steps.ts";
import { World } from "./contract/model/world.ts";
import { createMemoryStore } from "./memory.ts";

test("speed", { timeout: 200_000 }, async () => {
  const sum = new Map<string, [number, number]>();
  let requests = 0, count = 0, total = 0;
  for (const steps of fc.sample(histories(40, true), { numRuns: 60, seed: 5 })) {
    let now = 1_800_000_000_000;
    const world = new World({ store: createMemoryStore(standardSettings(zone), () => now), advance: async (ms) => { now += ms; }, restart: undefined }, { forgetsTurns: true }, 0);
    for (const step of steps) {
      const key = /days pass, /.test(String(step)) ? "15 days" : /pass/.test(String(step)) ? "pass" : String(step).split(" ").slice(1, 3).join(" ");
      const t = performance.now();
      await step.happen(world);
      await world.look();
      const d = performance.now() - t;
      total += d; count++;
      const s = sum.get(key) ?? [0, 0];
      sum.set(key, [s[0] + d, s[1] + 1]);
    }
    requests += world.requests;
  }
  console.log({ requests, count, total }, [...sum].toSorted((a, b) => b[1][0] - a[1][0]).slice(0, 12));
});
