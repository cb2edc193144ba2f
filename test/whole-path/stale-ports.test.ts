import { expect, test } from "vitest";

import type { Declared } from "../../shared/binding.ts";
import { EngineCli } from "../testbed/engine-cli.ts";
import { type Inspected, StalePorts } from "./stale-ports.ts";

// What the model test relies on: a port that is over is found in a set that names it, and no other is.

test("a port is over once its container has another, or none", async () => {
  const { stale, says } = sayingEngine();
  await says(running("a", 32768), running("b", 32769));
  await stale.during(engine, "", () => says(running("a", 32770)));
  const since = (): number => Date.now() - 5_000;
  expect(worst(stale, set("a", 32770), since)).toBe(0);
  expect(worst(stale, set("b", 32769), () => Number.POSITIVE_INFINITY)).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(worst(stale, set("b", 32769), since)).toBeGreaterThan(0);
  expect(stale.worst.what).toContain("32769");
});

test("a paused container's ports are over until it goes on", async () => {
  const { stale, says } = sayingEngine();
  await says(running("a", 32768));
  await stale.during(engine, "", () => says({ ...running("a", 32768), State: paused }));
  await stale.during(engine, "", () => says(running("a", 32768)));
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(worst(stale, set("a", 32768), () => 0)).toBe(0);
});

const engine = new EngineCli("/nowhere");
const startedAt = "2026-01-01T00:00:00Z";
const paused = { Running: true, Paused: true, StartedAt: startedAt };

function running(id: string, port: number): Inspected {
  const Ports = { "80/tcp": [{ HostIp: "0.0.0.0", HostPort: `${port}` }] };
  const State = { Running: true, Paused: false, StartedAt: startedAt };
  return { Id: id.repeat(64), State, NetworkSettings: { Ports } };
}

function set(id: string, port: number): Declared {
  const instance = `${id.repeat(12)}@${startedAt}`;
  return { bindings: [{ container: id, instance, port }] } as Partial<Declared> as Declared;
}

function worst(stale: StalePorts, declared: Declared, quietSince: () => number): number {
  stale.look(declared, quietSince);
  return stale.worst.ms;
}

/** An engine that says what it is told to. */
function sayingEngine() {
  let containers: Inspected[] = [];
  return {
    stale: new StalePorts(async () => containers),
    async says(...running: Inspected[]): Promise<void> {
      containers = running;
    },
  };
}
