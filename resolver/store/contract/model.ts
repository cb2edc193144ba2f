import fc from "fast-check";
import { describe, test } from "vitest";

import type { MakeStore, Spared } from "./harness.ts";
import { histories } from "./model/steps.ts";
import { World } from "./model/world.ts";

export interface ModelRuns {
  /** How many histories, of how many steps at most. */
  runs: number;
  length: number;
  /** As describeStore has it. */
  spared?: ModelSpared;
  /** Of a run that failed, to see it again. */
  seed?: number;
}

export interface ModelSpared extends Spared {
  /** Why its clock goes on between steps, and by how many milliseconds at most in one history. */
  ticking?: { reason: string; byMs: number };
  /** Why its hosts cannot renew for two weeks: a thousand requests. */
  patience?: string;
}

/**
 * Random histories, played to the store and to a model of it that is written from the rules alone: after every request all answers and
 * lists are the same. A failure says its seed, and the shortest history that still fails.
 */
export function describeModel(
  name: string,
  makeStore: MakeStore,
  { runs, length, spared = {}, seed }: ModelRuns,
): void {
  describe(`the ${name} store and its model`, () => {
    test(`say the same over ${runs} histories`, { timeout: 600_000 }, async () => {
      const rules = {
        forgetsTurns: spared.freshStart === undefined,
        ...(spared.lateLapse === undefined ? {} : { grace: 5000 }),
      };
      // Twice as long as it ticks, so that no lease ends but when a step lets it.
      const driftMs = spared.ticking?.byMs ?? 0;
      const pace = {
        driftMs,
        second: Math.max(1, Math.ceil(driftMs / 500)),
        freeSerial: spared.serial !== undefined,
      };
      const property = fc.asyncProperty(histories(length, spared.patience === undefined), async (steps) => {
        const world = new World(await makeStore(), rules, pace);
        for (const [index, step] of steps.entries()) await happen(world, step, index);
      });
      await fc.assert(property, { numRuns: runs, ...(seed === undefined ? {} : { seed }) });
    });
  });
}

async function happen(
  world: World,
  step: { happen(world: World): Promise<void> },
  index: number,
): Promise<void> {
  try {
    await step.happen(world);
    await world.look();
  } catch (fault) {
    const message = fault instanceof Error ? fault.message : String(fault);
    throw new Error(`at step ${index + 1}, ${step}: ${message}`, { cause: fault });
  }
}
