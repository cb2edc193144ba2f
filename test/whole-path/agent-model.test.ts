import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { startEngine } from "../testbed/engine.ts";
import { EngineProxy } from "../testbed/engine-proxy.ts";
import { type EventPlan, seededRandom } from "../testbed/engine-proxy-events.ts";
import { importSampleImage } from "../testbed/image.ts";
import { startPodman } from "../testbed/podman.ts";
import { whyNoPodman } from "../testbed/requirements.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { until } from "../testbed/wait.ts";
import { ownAddresses, startAgentBeside } from "./agent-beside.ts";
import { declaredHealthIn, declaredIn, truthOf, truthWithHealthOf } from "./engine-truth.ts";
import {
  drawAction,
  engineLimits,
  type ModelEngine,
  restartUntold,
  returnMs,
  runFirst,
  startOneAndEndOne,
  stopEventOf,
} from "./model-actions.ts";
import { PushRecorder } from "./push-recorder.ts";
import { StalePorts } from "./stale-ports.ts";

// Whatever happens to containers, engines and events, in whatever order: at rest the declared set is what the engines show. Two Docker
// engines and a Podman at once, seen by one agent through proxies that drop, repeat, reorder and delay their events.
// BERTH_MODEL_SEEDS=20 BERTH_MODEL_STEPS=200 is the long form.

const seeds = Array.from({ length: Number(process.env.BERTH_MODEL_SEEDS ?? 3) }, (_, index) => index + 1);
const steps = Number(process.env.BERTH_MODEL_STEPS ?? 40);
const stepsBetweenRests = 10;
const timeout = 60_000 + steps * 10_000;
const resyncSeconds = 1;
const graceSeconds = 10;

/** A lost event is made good by the next resync, which a slow machine may be slow about. */
const lateMs = resyncSeconds * 1000 + 8_000;

const someDropped = 0.15;

/** A guest whose owner was started anew has lost its network, and is told so. */
const allowed = / (flapping|no-port)$/;

function eventPlan(seed: number): EventPlan {
  return { seed, drop: someDropped, duplicate: 0.1, reorder: 0.1, delay: 0.15, delayMs: 1500 };
}

describe.skipIf(whyNoPodman() !== undefined)(
  "after any history the declared set is what the engines show",
  () => {
    const dir = makeTemporaryDir("berth-m-");
    const engines: Omit<ModelEngine, "proxy" | "plan" | "queue" | "disturbedAt">[] = [];

    beforeAll(async () => {
      engines.push({ engine: await startEngine({ index: 1 }), prefix: "da" });
      engines.push({ engine: await startEngine({ index: 2, liveRestore: true }), prefix: "db" });
      engines.push({ engine: await startPodman(), prefix: "po" });
      for (const { engine } of engines) {
        await importSampleImage(engine);
        // Before "bridge", so that connecting to it moves a container's ports.
        await engine.docker("network", "create", "aaa");
      }
    }, 180_000);

    afterAll(async () => {
      for (const { engine } of engines) await engine.stop();
      dir.remove();
    }, 120_000);

    test.each(seeds)("seed %i", { timeout }, async (seed) => {
      const random = seededRandom(seed);
      const bed = await openBed(seed);
      const story: string[] = [];
      try {
        await Promise.all(
          bed.engines.map((own) => bed.stale.during(own.engine, own.prefix, () => runFirst(own, random))),
        );
        for (let step = 1; step <= steps; step++) {
          const own = bed.engines[Math.floor(random() * bed.engines.length)];
          if (own === undefined) continue;
          const action = drawAction(own, random);
          story.push(action.what);
          // One after the other on each engine, so that what a port was before and after an action is known; the engines side by side.
          own.queue = own.queue.then(() => bed.stale.during(own.engine, own.prefix, action.act));
          if (random() < 0.6) await own.queue;
          if (step % stepsBetweenRests !== 0) continue;
          await Promise.all(bed.engines.map(({ queue }) => queue));
          await expectTruth(bed);
          // A later event would make good what an earlier one lost: so nothing is heard of these, and nothing comes after them.
          for (const { plan } of bed.engines) plan.drop = 1;
          await Promise.all(
            bed.engines.map((own) =>
              bed.stale.during(own.engine, own.prefix, () => startOneAndEndOne(own, step)),
            ),
          );
          // What follows at once is checked for good.
          await expectTruth(bed, { isForGood: false });
          // Only that they were told to stop is heard of these, and nothing of their new run.
          for (const own of bed.engines) own.plan.spared = stopEventOf(own);
          await Promise.all(bed.engines.map(restartUntold));
          await expectTruth(bed);
          for (const { plan } of bed.engines) {
            plan.drop = someDropped;
            plan.spared = undefined;
          }
          if (step === stepsBetweenRests) await silencePastGrace(bed, seed);
        }
        expect(bed.stale.worst.ms, bed.stale.worst.what).toBeLessThan(lateMs);
        const counts = bed.engines.map(({ prefix, proxy }) => ({ prefix, ...proxy.counts }));
        console.log(JSON.stringify({ seed, pushes: bed.resolver.pushes, worst: bed.stale.worst.ms, counts }));
      } catch (fault) {
        await Promise.allSettled(bed.engines.map(({ queue }) => queue));
        throw new Error(`seed ${seed}, after:\n${story.join("\n")}`, { cause: fault });
      } finally {
        await bed.close();
      }
    });

    interface Bed {
      engines: ModelEngine[];
      resolver: PushRecorder;
      stale: StalePorts;
      close(): Promise<void>;
    }

    async function openBed(seed: number): Promise<Bed> {
      const resolver = await PushRecorder.start();
      const proxied = await Promise.all(
        engines.map(async (own, index) => {
          const plan = eventPlan(seed * 10 + index);
          const proxy = await EngineProxy.start({
            engine: own.engine.socketPath,
            allowsInfo: true,
            events: plan,
          });
          return { ...own, proxy, plan, queue: Promise.resolve(), disturbedAt: 0 };
        }),
      );
      const stale = new StalePorts();
      const disturbedAt = (container: string): number =>
        proxied.find(({ prefix }) => container.startsWith(prefix))?.disturbedAt ?? 0;
      resolver.onPush = (declared) => stale.look(declared, disturbedAt);
      const agent = await startAgentBeside({
        engines: proxied.map(({ proxy, prefix }) => `unix://${proxy.socketPath}?name=${prefix}`),
        resolver,
        dir: join(dir.path, `seed-${seed}`),
        flags: { resync: `${resyncSeconds}` },
        graceSeconds,
        engineLimits,
      });
      return {
        engines: proxied,
        resolver,
        stale,
        async close() {
          await agent.close();
          await Promise.all(proxied.map(({ proxy }) => proxy.close()));
          await resolver.close();
          await Promise.all(proxied.map(({ engine }) => removeContainers(engine)));
        },
      };
    }

    /** One engine says nothing for longer than it is believed: its ports go, the others' follow what they do, and all is well when it speaks. */
    async function silencePastGrace(bed: Bed, seed: number): Promise<void> {
      const own = bed.engines[seed % bed.engines.length];
      if (own === undefined) throw new Error("there is no engine");
      const others = bed.engines.filter((one) => one !== own);
      own.disturbedAt = Number.POSITIVE_INFINITY;
      const isFrozen = seed % 2 === 1;
      if (isFrozen) own.engine.freeze();
      else own.proxy.hang();
      try {
        // One that only the agent hears nothing of works on meanwhile.
        await Promise.all((isFrozen ? others : bed.engines).map((one) => startOneAndEndOne(one, 1_000)));
        await until(
          "the silent engine's ports are gone",
          async () => {
            const truths = await Promise.all(others.map(({ engine }) => truthOf(engine, ownAddresses)));
            expect(declaredIn(bed.resolver)).toEqual(truths.flat().toSorted());
            expect(bed.resolver.problems).toContain("engine-unreachable");
            return true;
          },
          { timeoutMs: 45_000 },
        );
      } finally {
        own.engine.thaw();
        own.proxy.release();
        own.disturbedAt = Date.now() + returnMs;
      }
      await expectTruth(bed);
    }

    async function expectTruth({ engines: all, resolver }: Bed, { isForGood = true } = {}): Promise<void> {
      await until(
        "the declared set is what the engines show",
        async () => {
          const truths = await Promise.all(all.map(({ engine }) => truthWithHealthOf(engine, ownAddresses)));
          expect(declaredIn(resolver)).toEqual(truths.flatMap(({ lines }) => lines).toSorted());
          expect(resolver.problems.filter((problem) => !allowed.test(problem))).toEqual([]);
          const health = truths.flatMap(({ health: own }) => [...own]);
          expect(Object.fromEntries(health)).toMatchObject(Object.fromEntries(declaredHealthIn(resolver)));
          return true;
        },
        { timeoutMs: 60_000, everyMs: 200 },
      );
      if (!isForGood) return;
      // And it stays so: nothing that was on its way undoes it.
      await sleep(1_000);
      const truths = await Promise.all(all.map(({ engine }) => truthOf(engine, ownAddresses)));
      // One that a busy machine kept from answering for the grace is rightly left out.
      if (resolver.problems.includes("engine-unreachable")) return;
      expect(declaredIn(resolver)).toEqual(truths.flat().toSorted());
    }
  },
);

async function removeContainers(engine: ModelEngine["engine"]): Promise<void> {
  // Podman removes no container whose network another one uses.
  for (let round = 0; round < 3; round++) {
    const ids = (await engine.docker("ps", "--all", "--quiet")).split("\n").filter(Boolean);
    if (ids.length === 0) return;
    await engine.docker("rm", "--force", ...ids).catch((fault: unknown) => {
      if (round === 2) throw fault;
    });
  }
}
