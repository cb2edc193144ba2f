import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { Outage } from "../outage.ts";
import type { InspectParts } from "../testing/builders.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { FakeEngine, silent } from "../testing/fake-engine.ts";
import { RecordedLog } from "../testing/recorded-log.ts";
import type { EngineView } from "./engine-view.ts";
import { EngineWatch } from "./engine-watch.ts";

const startedAt = "2026-11-22T10:00:00.5Z";
const started = Date.parse(startedAt);

let clock: FakeClock;
let engine: FakeEngine;
let watch: EngineWatch;
let running: Promise<void>;
let views: EngineView[];
let steps: number;

beforeEach(() => {
  clock = new FakeClock();
  engine = new FakeEngine();
  views = [];
  steps = 0;
  const outage = new Outage(new RecordedLog(), () => "back");
  const onView = (view: EngineView) => views.push(view);
  const onProgress = () => {
    steps += 1;
  };
  watch = new EngineWatch({
    engine,
    clock,
    outage,
    random: () => 1,
    resyncMs: 10_000,
    onView,
    onProgress,
  });
});
afterEach(async () => {
  watch.close();
  await running;
});

async function start(): Promise<void> {
  running = watch.run();
  await clock.advance(2_000);
  views.length = engine.inspected.length = engine.lists = 0;
}
/** Starts a container, with the event that says so. */
function run(name: string, parts: InspectParts = {}): string {
  const id = engine.put(name, { state: { StartedAt: startedAt }, ...parts });
  engine.event(id);
  return id;
}
const names = () => watch.view.read?.containers.map(({ name }) => name).toSorted();
const draining = () => watch.view.read?.draining.map(({ name }) => name);
const healthOf = (health: string) => ({ state: { StartedAt: startedAt, Health: { Status: health } } });

describe("an event that names its container", () => {
  test("has it inspected and shown at once, without a list", async () => {
    await start();
    const id = run("web");
    await clock.advance(0);
    expect(names()).toEqual(["web"]);
    expect([engine.inspected, engine.lists]).toEqual([[id], 0]);
  });

  test("has a list follow within a second, which inspects what no list has vouched for", async () => {
    await start();
    const id = run("web");
    await clock.advance(1_000);
    expect([engine.inspected, engine.lists]).toEqual([[id, id], 1]);
    await clock.advance(5_000);
    expect(engine.lists).toBe(1);
  });

  test("changes nothing when the container is as it was: no view, no list", async () => {
    const id = engine.put("web");
    await start();
    engine.event(id);
    await clock.advance(5_000);
    expect([engine.inspected, engine.lists, views.length]).toEqual([[id], 0, 0]);
  });

  test("and the container's facts are the same object as long as they are the same", async () => {
    const id = engine.put("web");
    await start();
    const before = watch.view.read?.containers[0];
    engine.event(id);
    engine.event();
    await clock.advance(20_000);
    expect(watch.view.read?.containers[0]).toBe(before);
  });

  test("and is not running: it is not shown before a list has it", async () => {
    await start();
    const id = run("web", { state: { Running: false } });
    await clock.advance(100);
    expect([engine.inspected, names(), views.length]).toEqual([[id], [], 0]);
  });

  test("is not held up by a container that the engine does not let go of", async () => {
    const slow = engine.put("slow", { state: { Running: false } });
    await start();
    const release = engine.holdInspect(slow);
    engine.event(slow);
    await clock.advance(10);
    run("web");
    await clock.advance(100);
    expect(names()).toContain("web");
    release();
  });

  test("and comes while it is looked at, has it looked at again", async () => {
    await start();
    const id = engine.put("web", { state: { Running: false } });
    const release = engine.holdInspect(id);
    engine.event(id);
    await clock.advance(10);
    run("web");
    release();
    await clock.advance(60);
    expect(watch.view.read?.containers.find(({ name }) => name === "web")?.running).toBe(true);
  });

  test("a passing state whose end no event tells is found by the next list", async () => {
    const id = engine.put("web");
    await start();
    engine.putUnlisted("web", { state: { Paused: true } });
    engine.event(id);
    await clock.advance(0);
    expect(watch.view.read?.containers[0]).toMatchObject({ running: false, paused: true });
    engine.putUnlisted("web");
    await clock.advance(1_000);
    expect(watch.view.read?.containers[0]?.running).toBe(true);
  });

  test("a list that was asked for before does not take it away again", async () => {
    await start();
    const release = engine.holdLists();
    engine.event();
    await clock.advance(10);
    const id = run("web");
    await clock.advance(0);
    engine.hide(id);
    release();
    await clock.advance(10);
    expect(names()).toEqual(["web"]);
  });

  test("500 starts at once are a handful of views, with all of them in the end", async () => {
    await start();
    for (let count = 0; count < 500; count++) run(`c${count}x`);
    await clock.advance(5_000);
    expect(names()).toHaveLength(500);
    expect(views.length).toBeLessThan(6);
  });

  test("500 starts one by one are views ever further apart", async () => {
    await start();
    for (let count = 0; count < 500; count++) {
      run(`c${count}x`);
      await clock.advance(10);
    }
    await clock.advance(1_000);
    expect(names()).toHaveLength(500);
    // 50, 100, 200, then 400 ms apart, and a list each second.
    expect(views.length).toBeLessThan(25);
  });

  test("one at a time, each is shown at once", async () => {
    await start();
    for (const name of ["a", "b", "c"]) {
      await clock.advance(2_000);
      run(name);
      await clock.advance(0);
      expect(names()).toContain(name);
    }
  });

  test("hints past all bounds become one look at everything", async () => {
    engine.put("web");
    await start();
    for (let count = 0; count < 20_000; count++) engine.event(`unknown-${count}`);
    await clock.advance(1_000);
    expect(engine.inspected.length).toBeLessThan(5_000);
    expect(engine.lists).toBeGreaterThan(0);
    expect(names()).toEqual(["web"]);
  });
});

describe("a container that is told to stop", () => {
  const kill = (id: string, signal: string | undefined, atMs = started + 1_000) =>
    engine.tell({ kind: "stopping", id, signal, atMs });

  test.each(["15", "SIGTERM", "9", "KILL"])("by signal %s is left out at once", async (signal) => {
    const id = engine.put("web", { state: { StartedAt: startedAt } });
    await start();
    kill(id, signal);
    await clock.advance(0);
    expect([names(), draining()]).toEqual([[], ["web"]]);
    await clock.advance(60_000);
    expect([names(), draining()]).toEqual([[], ["web"]]);
  });

  test("its own stop signal counts, and not another program's", async () => {
    const id = engine.put("web", { state: { StartedAt: startedAt }, config: { StopSignal: "SIGQUIT" } });
    await start();
    kill(id, "15");
    await clock.advance(100);
    expect(names()).toEqual(["web"]);
    kill(id, "3");
    await clock.advance(100);
    expect(names()).toEqual([]);
  });

  test("SIGHUP changes nothing, and is a hint", async () => {
    const id = engine.put("web", { state: { StartedAt: startedAt } });
    await start();
    kill(id, "1");
    await clock.advance(100);
    expect([names(), engine.inspected]).toEqual([["web"], [id]]);
  });

  test("comes back as a new run", async () => {
    const id = engine.put("web", { state: { StartedAt: startedAt } });
    await start();
    kill(id, "15");
    await clock.advance(100);
    engine.put("web", { state: { StartedAt: "2026-11-22T10:00:02Z" } });
    engine.event(id);
    await clock.advance(100);
    expect([names(), draining()]).toEqual([["web"], []]);
  });

  test("comes back as a new run at the next resync, when its stop alone was heard and the list says the same", async () => {
    const id = engine.put("web", { state: { StartedAt: startedAt } });
    await start();
    kill(id, "15");
    await clock.advance(100);
    engine.putUnlisted("web", { state: { StartedAt: "2026-11-22T10:00:02Z" } });
    await clock.advance(10_000);
    expect([names(), draining()]).toEqual([["web"], []]);
    engine.inspected.length = 0;
    await clock.advance(30_000);
    expect(engine.inspected).toEqual([]);
  });

  test("is not waited for by each list: only a resync looks at it", async () => {
    const id = engine.put("web", { state: { StartedAt: startedAt } });
    await start();
    kill(id, "15");
    for (let count = 0; count < 5; count++) {
      engine.event();
      await clock.advance(1_000);
    }
    expect([engine.lists, engine.inspected]).toEqual([5, []]);
  });

  test("an event that is late, when the new run was already seen, says nothing of it", async () => {
    const id = engine.put("web", { state: { StartedAt: startedAt } });
    await start();
    kill(id, "15", started - 1);
    await clock.advance(100);
    expect(names()).toEqual(["web"]);
  });

  test("before it was ever looked at, it is never shown", async () => {
    await start();
    const id = run("web");
    kill(id, "15");
    await clock.advance(0);
    expect([names(), draining()]).toEqual([[], ["web"]]);
  });

  test("Podman says `stop` as it begins; Docker when it is over", async () => {
    for (const [kind, left] of [
      ["docker", ["web"]],
      ["podman", []],
    ] as const) {
      engine.kind = kind;
      const id = engine.put("web", { state: { StartedAt: startedAt } });
      if (kind === "docker") await start();
      else {
        engine.die();
        engine.revive();
        await clock.advance(2_000);
      }
      kill(id, undefined);
      await clock.advance(100);
      expect(names()).toEqual(left);
    }
  });
});

describe("Podman", () => {
  beforeEach(() => {
    engine.kind = "podman";
  });

  test("tells of every probe: only news has the container looked at", async () => {
    const id = engine.put("web", healthOf("healthy"));
    await start();
    for (let count = 0; count < 20; count++) engine.tell({ kind: "look", id, health: "healthy" });
    await clock.advance(100);
    expect(engine.inspected).toEqual([]);
    engine.putUnlisted("web", healthOf("unhealthy"));
    engine.tell({ kind: "look", id, health: "unhealthy" });
    await clock.advance(0);
    expect(watch.view.read?.containers[0]?.health).toBe("unhealthy");
  });

  test("tells of health as it was before the probe: the probe's own outcome counts", async () => {
    const id = engine.put("web", healthOf("healthy"));
    const plain = engine.put("plain");
    await start();
    engine.tell({ kind: "probe", id, passed: true });
    engine.tell({ kind: "probe", id: plain, passed: false });
    await clock.advance(100);
    expect(engine.inspected).toEqual([]);
    engine.putUnlisted("web", healthOf("unhealthy"));
    engine.tell({ kind: "look", id, health: "healthy" });
    engine.tell({ kind: "probe", id, passed: false });
    await clock.advance(0);
    expect(watch.view.read?.containers[0]?.health).toBe("unhealthy");
  });

  test("may tell of a probe before it has taken its outcome down: the container is looked at twice", async () => {
    const id = engine.put("web", healthOf("starting"));
    await start();
    engine.tell({ kind: "probe", id, passed: false });
    await clock.advance(100);
    engine.putUnlisted("web", healthOf("unhealthy"));
    await clock.advance(1_000);
    expect(watch.view.read?.containers[0]?.health).toBe("unhealthy");
  });

  test("does not list health: containers that have it are inspected at each resync, others are not", async () => {
    const web = engine.put("web", healthOf("healthy"));
    engine.put("plain");
    await start();
    engine.putUnlisted("web", healthOf("unhealthy"));
    await clock.advance(10_000);
    expect(watch.view.read?.containers.find(({ id }) => id === web)?.health).toBe("unhealthy");
    await clock.advance(10_000);
    expect(new Set(engine.inspected)).toEqual(new Set([web]));
  });

  test("leaves what a container in the host's network exposes to its image, which is asked once", async () => {
    engine.images.set("sha256:1", { Config: { ExposedPorts: { "80/tcp": {}, "53/udp": {} } } });
    const parts = { networkMode: "host", ports: {}, image: "sha256:1" };
    engine.put("web", parts);
    engine.put("api", parts);
    engine.put("bridged", { image: "sha256:2" });
    await start();
    const shown = watch.view.read?.containers.map(({ name, exposed }) => [name, exposed.length]);
    expect(Object.fromEntries(shown ?? [])).toEqual({ web: 2, api: 2, bridged: 0 });
    expect(new Set(engine.imagesInspected)).toEqual(new Set(["sha256:1"]));
    watch.refresh();
    const before = engine.imagesInspected.length;
    await clock.advance(1_000);
    expect(engine.imagesInspected).toHaveLength(before);
  });
});

test("Docker's images are never looked at: it says itself what a container exposes", async () => {
  engine.put("web", { networkMode: "host", ports: {}, image: "sha256:1" });
  await start();
  expect(engine.imagesInspected).toEqual([]);
});

test("refresh reads everything again, and takes nothing away meanwhile", async () => {
  const ids = ["a", "b"].map((name) => engine.put(name));
  await start();
  engine.inspectFaults.set(ids[0] ?? "", silent());
  watch.refresh();
  await clock.advance(100);
  expect(engine.inspected).toEqual(ids);
  expect(names()).toEqual(["a", "b"]);
});

test("every step counts as progress, failed ones too", async () => {
  await start();
  const [before, faults] = [steps, watch.counters.faults];
  engine.listFault = silent();
  engine.event();
  await clock.advance(30_000);
  expect(steps).toBeGreaterThan(before + 2);
  expect(watch.counters.faults).toBeGreaterThan(faults + 2);
});

test("counters say what was done, and when the engine was read last", async () => {
  expect(watch.counters).toEqual({ passes: 0, events: 0, inspects: 0, faults: 0, lastReadAt: undefined });
  engine.put("web");
  await start();
  run("api");
  await clock.advance(100);
  expect(watch.counters).toEqual({ passes: 2, events: 1, inspects: 2, faults: 0, lastReadAt: 1_050 });
});
