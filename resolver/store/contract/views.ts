import { describe, expect, test } from "vitest";

import { hostListSchema, serviceListSchema } from "../../../shared/registry-views.ts";
import { binding, TestHost, zone } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** What people and the console are shown. */
export function describeViews(makeStore: MakeStore): void {
  describe("hosts()", () => {
    test("lists live hosts by label with what was refused and what is left of their leases", async () => {
      const { store, advance } = await makeStore();
      const problem = { container: "c", code: "no-port", message: "publishes no port" };
      await new TestHost("b", "pi", ["10.0.0.6"]).push(store, []);
      await new TestHost("a", "nas").push(
        store,
        [binding("host"), binding("web")],
        {},
        { problems: [problem] },
      );
      await advance(4500);
      const list = await store.hosts();
      expect(hostListSchema.parse(list)).toEqual(list);
      expect(list.hosts.map(({ hostLabel }) => hostLabel)).toEqual(["nas", "pi"]);
      expect(list.hosts[0]).toMatchObject({
        hostId: "a".repeat(52),
        declaredLabel: "nas",
        addresses: ["10.0.0.5"],
        local: false,
        epoch: 1,
        lease: 15,
        leaseRemaining: 11,
        bindings: 2,
        problems: [problem],
        refused: [{ name: `host.${zone}`, code: "reserved" }],
      });
      expect(list.hosts[1]).toMatchObject({ bindings: 0, problems: [], refused: [] });
    });
  });

  describe("services()", () => {
    test("lists granted names, their ports ascending, and the endpoints of each host", async () => {
      const { store } = await makeStore();
      const pi = new TestHost("b", "pi", ["10.0.0.6"]);
      await pi.push(store, [
        binding("web", { servicePort: 443, port: 9443, at: ["10.0.0.6"] }),
        binding("web", { port: 9080, at: ["10.0.0.6"], health: "unhealthy" }),
        binding("ns", { at: ["10.0.0.6"] }),
      ]);
      await new TestHost("a", "nas").push(store, [
        binding("web", { port: 8081 }),
        binding("api", { protocol: "udp", fixed: false }),
      ]);
      const list = await store.services();
      expect(serviceListSchema.parse(list)).toEqual(list);
      expect(list.zone).toBe(zone);
      expect(list.services.map(({ name }) => name)).toEqual([`api.${zone}`, `web.${zone}`]);
      expect(list.services[0]?.ports).toEqual([
        {
          protocol: "udp",
          servicePort: 80,
          endpoints: [
            {
              hostLabel: "nas",
              container: "api",
              addresses: ["10.0.0.5"],
              port: 8080,
              fixed: false,
              health: "none",
            },
          ],
        },
      ]);
      const ports = list.services[1]?.ports ?? [];
      expect(ports.map(({ servicePort }) => servicePort)).toEqual([80, 443]);
      const on80 = ports[0]?.endpoints.map(({ hostLabel, port, health }) => [hostLabel, port, health]);
      expect(on80).toEqual([
        ["nas", 8081, "none"],
        ["pi", 9080, "unhealthy"],
      ]);
    });

    test("says of an endpoint that it speaks TLS, what it says of itself, and why it is hidden", async () => {
      const { store } = await makeStore();
      await new TestHost("b", "pi", ["10.0.0.6"]).push(store, [
        binding("web", { port: 4, at: ["10.0.0.6"], health: "starting" }),
        binding("web", { port: 5, at: ["10.0.0.6"], health: "unhealthy" }),
        binding("web", { port: 6, at: ["10.0.0.6"], health: "unhealthy", servicePort: 90 }),
      ]);
      const said = { tls: true, txt: ["v=1"] } as const;
      await new TestHost("a", "nas").push(store, [
        binding("web", { port: 1, health: "healthy", tls: true, txt: ["v=1"] }),
      ]);
      const list = await store.services();
      expect(serviceListSchema.parse(list)).toEqual(list);
      const endpoints = list.services[0]?.ports.map((one) => one.endpoints) ?? [];
      expect(endpoints[0]).toMatchObject([
        { port: 1, health: "healthy", ...said },
        { port: 4, hidden: "starting" },
        { port: 5, hidden: "unhealthy" },
      ]);
      expect(endpoints[0]?.[0]).not.toHaveProperty("hidden");
      expect(endpoints[1]?.[0], "the last resort of its port").not.toHaveProperty("hidden");
    });

    test("is empty, like hosts(), of a registry that holds nothing", async () => {
      const { store } = await makeStore();
      expect(await store.services()).toMatchObject({ zone, services: [] });
      expect(await store.hosts()).toMatchObject({ hosts: [] });
    });
  });

  test("what is read says the revision it belongs to, the one of the lists", async () => {
    const { store } = await makeStore();
    const nas = new TestHost("a", "nas");
    const revisions = [];
    for (const port of [1, 2]) {
      await nas.push(store, [binding("web", { port })]);
      const { revision } = await store.hosts();
      for (const owner of [`_80._tcp.web.${zone}`, `nobody.${zone}`])
        expect(await store.read(owner)).toMatchObject({ revision });
      revisions.push(revision);
    }
    expect(revisions[1]).toBeGreaterThan(revisions[0] ?? Number.POSITIVE_INFINITY);
  });

  test("declared sets compile alike in whatever order they came", async () => {
    const views: string[] = [];
    for (const isReversed of [false, true]) {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      const pi = new TestHost("b", "pi", ["10.0.0.6"]);
      const set = [
        binding("web", { port: 1, weight: 1 }),
        binding("web", { port: 1, weight: 2 }),
        binding("web", { port: 7, servicePort: 90 }),
      ];
      const other = [binding("web", { port: 2, at: ["10.0.0.6"] })];
      const pushes = [
        () => nas.push(store, isReversed ? set.toReversed() : set),
        () => pi.push(store, other),
      ];
      for (const push of isReversed ? pushes.toReversed() : pushes) await push();
      const { rrsets, additional } = await store.read(`_80._tcp.web.${zone}`);
      const shown = {
        rdata: rrsets.map(({ rdata }) => rdata),
        additional: additional.map(({ owner }) => owner),
      };
      views.push(JSON.stringify({ shown, services: (await store.services()).services }));
    }
    expect(views[1]).toBe(views[0]);
  });
}
