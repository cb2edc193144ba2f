import { describe, expect, test } from "vitest";

import { metricsText } from "../../agent/status/metrics.ts";
import { engineWith, statusWith } from "../../agent/testing/agent-status.ts";
import { faultsInMetrics, whyNoPromtool } from "../testbed/promtool.ts";

// A page with every family there is, read by Prometheus itself.

const hostile = 'a"b\\c\nd\r# HELP x y\u2028{} \ud800 日\0';
const relay = { protocol: "tcp", connections: 1, bytesIn: 1e21, bytesOut: 0, container: hostile } as const;
const full = statusWith({
  hostLabel: { declared: hostile },
  engines: [engineWith(), engineWith({ label: hostile, where: hostile, up: false }), engineWith()],
  problems: [{ container: "web", code: hostile, message: hostile }],
  relays: [
    { ...relay, key: "web 80/tcp", state: "open", port: 20_000 },
    { ...relay, key: hostile, state: "failed", fault: hostile },
  ],
  checks: [{ container: hostile, state: "healthy" }],
  flapping: [hostile],
  services: [{ id: hostile, names: [hostile], state: "unhealthy" }],
});

describe.skipIf(whyNoPromtool() !== undefined)("Prometheus", () => {
  test("reads a page with every family, whatever containers are called, and has nothing against it", async () => {
    const page = metricsText(full);
    expect(page.match(/^# TYPE /gm)?.length).toBeGreaterThan(25);
    expect(await faultsInMetrics(page)).toBe("");
  });

  test("would say so if it had: the check itself finds faults", async () => {
    expect(await faultsInMetrics('berth_agent_x{a="1} 1\n')).not.toBe("");
    expect(await faultsInMetrics("# TYPE berth_agent_pushes counter\nberth_agent_pushes 1\n")).not.toBe("");
  });
});
