import { describe, expect, test } from "vitest";

import { binding, counters, endpointsAt, existsAt, rdataAt, TestHost, ttlAt, zone } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Which instances are answered: what a host says of one is weighed against all others of its name and port, on any host. */
export function describeHealth(makeStore: MakeStore): void {
  const port = { none: 1, starting: 2, healthy: 3, unhealthy: 4 } as const;
  type Health = keyof typeof port;
  const nas = () => new TestHost("a", "nas");
  const pi = () => new TestHost("b", "pi", ["10.0.0.6"]);
  const onNas = (health: Health) => binding("web", { health });
  const onPi = (health: Health) => binding("web", { health, at: ["10.0.0.6"] });
  const web = "_80._tcp.web";

  describe("health", () => {
    test.each<[Health[], number[]]>([
      [["healthy", "unhealthy", "starting"], [3]],
      [["none", "unhealthy"], [1]],
      [
        ["none", "healthy", "starting"],
        [1, 3],
      ],
      [["unhealthy", "starting"], [4]],
      [["unhealthy"], [4]],
      [["starting"], []],
    ])("of %j leaves the published ports %j", async (healths, shown) => {
      const { store } = await makeStore();
      await nas().push(
        store,
        healths.map((health) => binding("web", { health, port: port[health] })),
      );
      expect(await endpointsAt(store, web)).toEqual(shown.map((number) => `10.0.0.5:${number}`));
    });

    test("is weighed over all hosts, for each name and port by itself", async () => {
      const { store } = await makeStore();
      await nas().push(store, [
        binding("web", { health: "unhealthy" }),
        binding("web", { health: "unhealthy", servicePort: 90, port: 9090 }),
        binding("api", { health: "unhealthy" }),
      ]);
      await pi().push(store, [onPi("healthy")]);
      expect(await endpointsAt(store, web)).toEqual(["10.0.0.6:8080"]);
      expect(await endpointsAt(store, "_90._tcp.web")).toEqual(["10.0.0.5:9090"]);
      expect(await endpointsAt(store, "_80._tcp.api")).toEqual(["10.0.0.5:8080"]);
    });

    test("hides and shows again as any host says otherwise, by whole pushes and by deltas", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas(), pi()];
      await first.push(store, [onNas("healthy"), binding("db")]);
      await second.push(store, [onPi("healthy")]);
      expect(await endpointsAt(store, web)).toEqual(["10.0.0.5:8080", "10.0.0.6:8080"]);
      await first.pushDelta(store, { changed: [onNas("unhealthy")] });
      expect(await endpointsAt(store, web)).toEqual(["10.0.0.6:8080"]);
      await second.push(store, [onPi("unhealthy")]);
      expect(await endpointsAt(store, web), "a last resort").toEqual(["10.0.0.5:8080", "10.0.0.6:8080"]);
      await second.push(store, [onPi("starting")]);
      expect(await endpointsAt(store, web)).toEqual(["10.0.0.5:8080"]);
      await first.pushDelta(store, { changed: [onNas("healthy")] });
      await second.push(store, [onPi("none")]);
      expect(await endpointsAt(store, web)).toEqual(["10.0.0.5:8080", "10.0.0.6:8080"]);
      expect(await endpointsAt(store, "_80._tcp.db")).toEqual(["10.0.0.5:8080"]);
    });

    test("of a host that lapses or withdraws counts no more: the bad instance is back", async () => {
      const { store, advance } = await makeStore();
      const [first, second] = [nas(), pi()];
      await first.push(store, [onNas("unhealthy")], { lease: 60 });
      await second.push(store, [onPi("healthy")]);
      expect(await endpointsAt(store, web)).toEqual(["10.0.0.6:8080"]);
      // In time for a store whose late alarm grants one more lease.
      await advance(15_500);
      expect(await endpointsAt(store, web), "lapsed").toEqual(["10.0.0.5:8080"]);
      await second.push(store, [onPi("none")]);
      expect(await endpointsAt(store, web)).toEqual(["10.0.0.6:8080"]);
      await second.withdraw(store);
      expect(await endpointsAt(store, web), "withdrawn").toEqual(["10.0.0.5:8080"]);
    });

    test("of a name that is refused counts for nobody who has it", async () => {
      const { store } = await makeStore();
      await nas().push(store, [binding("db", { rule: "container", health: "unhealthy" })]);
      await pi().push(store, [binding("db", { rule: "container", at: ["10.0.0.6"] })]);
      expect(await endpointsAt(store, "_80._tcp.db")).toEqual(["10.0.0.5:8080"]);
    });

    test("changes revision and serial, as whatever changes an answer does", async () => {
      const { store } = await makeStore();
      const host = nas();
      await host.push(store, [onNas("starting")]);
      const before = await counters(store);
      await host.push(store, [onNas("healthy")]);
      const after = await counters(store);
      expect(after.revision).toBeGreaterThan(before.revision);
      expect(after.serial).toBeGreaterThan(before.serial);
    });
  });

  describe("a name", () => {
    test("has the addresses of hosts with an instance that is answered, and of no other", async () => {
      const { store } = await makeStore();
      const [first, second] = [nas(), pi()];
      await first.push(store, [onNas("healthy")]);
      for (const hidden of ["starting", "unhealthy"] as const) {
        await second.push(store, [onPi(hidden)]);
        expect(await rdataAt(store, "web", "A"), hidden).toEqual(["10.0.0.5"]);
      }
      await second.push(store, [onPi("starting"), { ...onPi("none"), servicePort: 90 }]);
      expect(await rdataAt(store, "web", "A"), "for another port").toEqual(["10.0.0.5", "10.0.0.6"]);
      expect(await rdataAt(store, "pi.host", "A"), "the host's own").toEqual(["10.0.0.6"]);
    });

    test("of which all is starting is there without RRs and without ports (NODATA), until one is ready", async () => {
      const { store } = await makeStore();
      const host = nas();
      await host.push(store, [binding("web.shop", { health: "starting", txt: ["a=b"] })]);
      for (const owner of ["web.shop", "shop"]) {
        const view = await store.read(`${owner}.${zone}`);
        expect(view, owner).toMatchObject({ exists: true, rrsets: [], additional: [] });
      }
      expect(await existsAt(store, "_tcp.web.shop")).toBe(false);
      expect(await existsAt(store, "_80._tcp.web.shop")).toBe(false);
      await host.push(store, [binding("web.shop", { health: "healthy" })]);
      expect(await endpointsAt(store, "_80._tcp.web.shop")).toEqual(["10.0.0.5:8080"]);
      expect(await rdataAt(store, "web.shop", "A")).toEqual(["10.0.0.5"]);
      await host.push(store, []);
      expect(await existsAt(store, "web.shop")).toBe(false);
    });

    test("is not told of a port that is starting, and keeps its port 80 meanwhile as it will be", async () => {
      const { store } = await makeStore();
      const host = nas();
      const debug = binding("web", { servicePort: 9229, health: "starting" });
      const app = binding("web", { servicePort: 3000 });
      await host.push(store, [app, debug]);
      expect(await rdataAt(store, "_tcp.web", "PTR")).toEqual([`_3000._tcp.web.${zone}`]);
      expect(await existsAt(store, "_80._tcp.web"), "two ports have none").toBe(false);
      await host.push(store, [{ ...app, health: "starting" }]);
      expect(await existsAt(store, "_80._tcp.web"), "stands in for one that starts").toBe(false);
      await host.push(store, [app]);
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:8080"]);
    });

    test("has no TTL of an ephemeral port that is hidden", async () => {
      const { store } = await makeStore();
      const hidden = binding("web", { health: "unhealthy", fixed: false, port: 32768 });
      await nas().push(store, [onNas("healthy"), hidden]);
      expect(await ttlAt(store, web, "SRV")).toBe(5);
    });
  });
}
