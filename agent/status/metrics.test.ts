import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { engineWith, resolverWith, statusWith } from "../testing/agent-status.ts";
import { parseMetrics } from "../testing/prometheus-text.ts";
import type { AgentStatus } from "./agent-status.ts";
import { metricsText } from "./metrics.ts";

const traffic = { bytesIn: 512, bytesOut: 9, connections: 2, refused: 7, failed: 1 };

function sampled(status: AgentStatus, name: string, labels: Record<string, string> = {}): number | undefined {
  const samples = parseMetrics(metricsText(status)).filter((sample) => sample.name === `berth_agent_${name}`);
  return samples.find((sample) =>
    Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
  )?.value;
}

describe("metrics", () => {
  test("are a help line, a type line and the samples of each family", () => {
    const text = metricsText(statusWith());
    expect(text).toContain(
      "# HELP berth_agent_engine_up Whether the engine's last read succeeded.\n# TYPE berth_agent_engine_up gauge\n" +
        'berth_agent_engine_up{engine="docker"} 1\n',
    );
    expect(text).toContain("# TYPE berth_agent_pushes_total counter\nberth_agent_pushes_total 3\n");
  });

  test.each([
    ["last_sync_age_seconds", 1.5],
    ["lease_seconds", 15],
    ["lease_remaining_seconds", 13.5],
    ["resolver_up", 1],
    ["link_open", 1],
    ["renewals_total", 200],
    ["addresses_up", 1],
    ["bindings", 12],
    ["problems", 0],
    ["engine_last_read_age_seconds", 2.5],
    ["engine_containers", 4],
    ["engine_passes_total", 9],
    ["engine_events_total", 30],
    ["uptime_seconds", 3600],
  ])("tell %s: %d", (name, value) => {
    expect(sampled(statusWith(), name)).toBe(value);
  });

  test("tell by 0 that the host's addresses cannot be told", () => {
    expect(sampled(statusWith({ addressFault: "no route" }), "addresses_up")).toBe(0);
  });

  test("tell each engine apart, and a dead one by 0", () => {
    const engines = [engineWith(), engineWith({ label: "podman", up: false, fault: "gone" })];
    const status = statusWith({ engines });
    expect(sampled(status, "engine_up", { engine: "docker" })).toBe(1);
    expect(sampled(status, "engine_up", { engine: "podman" })).toBe(0);
  });

  test("claim nothing of what has not happened yet", () => {
    const { lastReadAgo: _, ...neverRead } = engineWith();
    const { lease, leaseRemaining, lastSyncAgo, ...neverTaken } = resolverWith();
    const status = statusWith({ engines: [neverRead], resolver: neverTaken });
    for (const name of ["engine_last_read_age_seconds", "lease_remaining_seconds", "last_sync_age_seconds"]) {
      expect(sampled(status, name)).toBeUndefined();
      expect(metricsText(status)).not.toContain(name);
    }
  });

  test("never tell a negative rest of a lease", () => {
    const status = statusWith({ resolver: resolverWith({ leaseRemaining: -3 }) });
    expect(sampled(status, "lease_remaining_seconds")).toBe(0);
  });

  test("count problems by their code, and checks by what they say", () => {
    const problems = ["bad-label", "no-ports", "bad-label"].map((code) => ({
      container: "x",
      code,
      message: "m",
    }));
    const checks = (["healthy", "unhealthy", "healthy"] as const).map((state) => ({ container: "x", state }));
    const status = statusWith({ problems, checks });
    expect(sampled(status, "problems")).toBe(3);
    expect(sampled(status, "problems_by_code", { code: "bad-label" })).toBe(2);
    expect(sampled(status, "checks", { state: "healthy" })).toBe(2);
  });

  test("tell the bytes of each relay", () => {
    const relay = {
      key: "web|80/tcp",
      container: "web",
      protocol: "tcp",
      state: "open",
      ...traffic,
    } as const;
    const status = statusWith({ relays: [relay, { ...relay, key: "db", container: "db", state: "failed" }] });
    status.relays.push({ ...relay, state: "finishing" }, { ...relay, state: "finishing" });
    expect(sampled(status, "finishing_relays")).toBe(2);
    expect(sampled(status, "finishing_relay_connections")).toBe(2 * relay.connections);
    const samples = parseMetrics(metricsText(status));
    expect(samples.filter(({ name }) => name === "berth_agent_relay_connections")).toHaveLength(2);
    expect(sampled(status, "relay_bytes_total", { container: "web", direction: "in" })).toBe(512);
    expect(sampled(status, "relay_bytes_total", { container: "web", direction: "out" })).toBe(9);
    expect(sampled(status, "relay_connections", { relay: "db" })).toBe(2);
    expect(sampled(status, "relay_open", { relay: "db" })).toBe(0);
    expect(sampled(status, "relay_refused_total", { container: "web" })).toBe(7);
    expect(sampled(status, "relay_failed_total", { container: "web" })).toBe(1);
  });

  test("keep one sample where two would have the same labels: a scraper drops the whole page for it", () => {
    const status = statusWith({ engines: [engineWith({ containers: 1 }), engineWith({ containers: 2 })] });
    expect(sampled(status, "engine_containers")).toBe(1);
  });

  test("carry any text of others as the value of a label, and as nothing else", { timeout: 60_000 }, () => {
    const hostile = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({
        unit: fc.constantFrom('"', "\\", "\n", "\r", "}", " ", "\0", "\u2028", "\ud800", "\u001b", "#"),
      }),
    );
    const property = fc.property(hostile, hostile, hostile, (label, key, code) => {
      const relay = { key, container: label, protocol: "udp", state: "open", ...traffic } as const;
      const status = statusWith({
        version: key,
        hostLabel: { declared: label },
        engines: [engineWith({ label, where: key, kind: code, version: label }), engineWith({ label: key })],
        relays: [relay, { ...relay, key: label }],
        problems: [{ container: label, code, message: key }],
      });
      const names = parseMetrics(metricsText(status)).map(({ name }) => name);
      expect(names.every((name) => name.startsWith("berth_agent_"))).toBe(true);
      expect(names).toContain("berth_agent_bindings");
    });
    fc.assert(property, { numRuns: 200 });
  });

  test("keep what a label may hold", () => {
    const status = statusWith({ engines: [engineWith({ label: 'a"b\\c é 日' })] });
    expect(sampled(status, "engine_up", { engine: 'a"b\\c é 日' })).toBe(1);
  });
});
