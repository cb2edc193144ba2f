import { expect, it } from "vitest";

import type { CheckState, PlacedContainer } from "../declare/input.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { containerOf } from "../testing/builders.ts";
import { Damping } from "./damping.ts";

const second = 1_000;

it("says nothing of containers that stay as they are", () => {
  const damping = new Damping();
  for (let now = 0; now < 100 * second; now += second) {
    expect(damping.see([placed("web", 1)], now)).toEqual({
      flapping: new Set(),
      problems: [],
      nextAt: Number.POSITIVE_INFINITY,
    });
  }
});

it("finds a container flapping at the sixth restart within a few seconds", () => {
  const damping = new Damping();
  const runs = [0, 1, 2, 3, 4, 5, 6];
  const flapping = runs.map((run) => damping.see([placed("web", run)], run * second).flapping.size);
  expect(flapping).toEqual([0, 0, 0, 0, 0, 0, 1]);
  const { problems, flapping: ids } = damping.see([placed("web", 6)], 7 * second);
  expect([...ids]).toEqual(["web-6"]);
  expect(problems).toMatchObject([{ container: "web", code: "flapping" }]);
});

it("does not mind restarts that are minutes apart", () => {
  const damping = new Damping();
  for (let run = 0; run < 50; run++)
    expect(damping.see([placed("web", run)], run * 120 * second).flapping.size).toBe(0);
});

it("counts changes of health, but not the end of starting, which every run has", () => {
  const damping = new Damping();
  const turns = ["unhealthy", "healthy", "unhealthy", "healthy", "unhealthy", "healthy"] as const;
  const counts = (["starting", "healthy", ...turns] as const).map(
    (health, now) => damping.see([placed("web", 1, { health })], now).flapping.size,
  );
  expect(counts).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
});

it("does not count what a HEALTHCHECK says that is ignored", () => {
  const damping = new Damping();
  const labels = { "berth.health": " Ignore " };
  for (let turn = 0; turn < 20; turn++) {
    const health = turn % 2 === 0 ? "healthy" : "unhealthy";
    expect(damping.see([placed("web", 1, { health, labels })], turn).flapping.size).toBe(0);
  }
});

it("counts what our own checks say of a container, but not that they begin or end", () => {
  const damping = new Damping();
  const turns = ["unhealthy", "healthy", "unhealthy", "healthy", "unhealthy"] as const;
  const seen = (checked: CheckState | undefined, now: number) =>
    damping.see([placed("web", 1), placed("db", 1)], now, ({ container: { name } }) =>
      name === "web" ? checked : "healthy",
    ).flapping;
  const quiet = [undefined, "starting", "healthy", undefined, "healthy", "starting", "healthy"] as const;
  for (const [now, state] of [...quiet, ...turns.slice(0, 4)].entries())
    expect(seen(state, now).size).toBe(0);
  seen("unhealthy", 11);
  expect([...seen("healthy", 12)]).toEqual(["web-1"]);
});

it("counts own checks beside a HEALTHCHECK that is ignored", () => {
  const damping = new Damping();
  const web = placed("web", 1, { health: "unhealthy", labels: { "berth.health": "ignore" } });
  let count = 0;
  for (let turn = 0; turn < 7; turn++)
    count = damping.see([web], turn, () => (turn % 2 === 0 ? "healthy" : "unhealthy")).flapping.size;
  expect(count).toBe(1);
});

it("counts an outage once that HEALTHCHECK and own checks find one after the other", () => {
  const damping = new Damping();
  const states = [
    ["healthy", "healthy"],
    ["healthy", "unhealthy"],
    ["unhealthy", "unhealthy"],
    ["unhealthy", "healthy"],
  ] as const;
  for (let turn = 0; turn < 9; turn++) {
    const [health, checked] = states[turn % 4] ?? states[0];
    expect(damping.see([placed("web", 1, { health })], turn, () => checked).flapping.size).toBe(0);
  }
});

it("counts a restart once, though it changes the health as well", () => {
  const damping = new Damping();
  let count = 0;
  for (let run = 0; run < 5; run++) {
    damping.see([placed("web", run, { health: "starting" })], run);
    count = damping.see([placed("web", run, { health: "healthy" })], run).flapping.size;
  }
  expect(count).toBe(0);
});

it("says when it will be steady again, and keeps its word", () => {
  const damping = new Damping();
  const { nextAt } = flap(damping);
  expect(nextAt).toBeGreaterThan(60 * second);
  expect(nextAt).toBeLessThan(90 * second);
  expect(damping.see([placed("web", 5)], nextAt - 2).flapping.size).toBe(1);
  expect(damping.see([placed("web", 5)], nextAt).flapping.size).toBe(0);
});

it("lets three steady minutes mend the wildest container", () => {
  const damping = new Damping();
  for (let run = 0; run < 1_000; run++) damping.see([placed("web", run)], run);
  const { nextAt } = damping.see([placed("web", 999)], 1_000);
  expect(nextAt).toBeLessThanOrEqual(1_001 + 180 * second);
});

it("remembers a container that is down between two runs", () => {
  const damping = new Damping();
  for (let run = 0; run < 7; run++) {
    damping.see([placed("web", run)], run);
    damping.see(run % 2 === 0 ? [] : [placed("web", run, { running: false })], run);
  }
  expect(damping.see([placed("web", 6)], 7).flapping.size).toBe(1);
});

it("counts no more than the runs: a container that was made before its first one, or has stopped, is not looked at", () => {
  const damping = new Damping();
  damping.see([placed("web", 0, { running: false, startedAt: "" })], 0);
  for (let run = 0; run < 6; run++) {
    expect(damping.see([placed("web", run, { startedAt: "now" })], 0).flapping.size).toBe(run < 5 ? 0 : 1);
  }
  expect(damping.see([placed("web", 5, { running: false })], 0).problems).toEqual([]);
});

it("tells names, and engines, from each other", () => {
  const damping = new Damping();
  for (let run = 0; run < 10; run++) {
    const both = [placed("web", run, {}, "docker"), placed("web", 0, {}, "podman"), placed(`job-${run}`, 0)];
    const { problems } = damping.see(both, run);
    expect(problems.every(({ message }) => message.includes("docker"))).toBe(true);
    expect(problems).toHaveLength(run < 6 ? 0 : 1);
  }
});

it("names the engine where there are several, and says the same words at every pass", () => {
  const damping = new Damping();
  for (let run = 0; run < 7; run++) damping.see([placed("web", run, {}, "podman")], run);
  const one = damping.see([placed("web", 6, {}, "podman")], 7).problems;
  const two = damping.see([placed("web", 6, {}, "podman")], 8).problems;
  expect(one[0]?.message).toContain("(on podman)");
  expect(two).toEqual(one);
});

it("forgets a container that has been gone for ten minutes", () => {
  const damping = new Damping();
  flap(damping);
  const back = 700 * second;
  damping.see([], back);
  for (let run = 6; run < 11; run++)
    expect(damping.see([placed("web", run)], back + run).flapping.size).toBe(0);
});

it("keeps no more than some thousand names of containers that are gone", () => {
  const damping = new Damping();
  flap(damping);
  for (let job = 0; job < 5_000; job++) damping.see([placed(`job-${job}`, 1)], 10);
  // Remembered, one more run would make it flap again.
  expect(damping.see([placed("web", 6)], 11).flapping.size).toBe(0);
});

it("keeps those that are there, however many", () => {
  const damping = new Damping();
  const names = Array.from({ length: 5_000 }, (_, index) => `c${index}`);
  let flapping = 0;
  for (let run = 0; run < 7; run++)
    flapping = damping.see(
      names.map((name) => placed(name, run)),
      run,
    ).flapping.size;
  expect(flapping).toBe(5_000);
});

function flap(damping: Damping) {
  let outcome = damping.see([placed("web", 0)], 0);
  for (let run = 1; run <= 5; run++) outcome = damping.see([placed("web", run)], 0);
  return outcome;
}

function placed(
  name: string,
  run: number,
  facts: Partial<ContainerFacts> = {},
  engine = "",
): PlacedContainer {
  const container = containerOf(name, { id: `${name}-${run}`, ...facts });
  return { container, engine, site: { addresses: [], local: false }, isNear: true };
}
