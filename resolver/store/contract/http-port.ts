import { describe, expect, test } from "vitest";

import type { Binding } from "../../../shared/binding.ts";
import { binding, endpointsAt, existsAt, rdataAt, TestHost, zone } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Which port stands in for 80 or 443, so that a URL needs none. */
export function describeHttpPort(makeStore: MakeStore): void {
  const tcp = (servicePort: number, fields: Partial<Omit<Binding, "addresses">> = {}) =>
    binding("web", { servicePort, port: servicePort + 30_000, ...fields });

  const tls = { tls: true } as const;

  test.each<[string, Binding[], string[], string[]]>([
    ["one port gets 80", [tcp(3000)], ["33000"], []],
    ["a real 80 stays as it is", [tcp(80), tcp(3000)], ["30080"], []],
    ["two ports get none", [tcp(3000), tcp(4000)], [], []],
    ["a port of two replicas is still one", [tcp(3000), tcp(3000, { port: 5 })], ["33000", "5"], []],
    ["a TLS port gets 443 and no 80", [tcp(8443)], [], ["38443"]],
    ["a port that is said to speak TLS gets 443 and no 80", [tcp(3000, tls)], [], ["33000"]],
    [
      "one that does on some replicas: 443 leads to these",
      [tcp(3000), tcp(3000, { ...tls, port: 5 })],
      [],
      ["5"],
    ],
    ["a real 80 that speaks TLS stays as it is", [tcp(80, tls)], ["30080"], []],
    ["443 that is said to speak TLS is there already", [tcp(443, tls)], [], ["30443"]],
    ["UDP that speaks TLS gets none", [tcp(853, { ...tls, protocol: "udp" })], [], []],
    ["443 itself is there already", [tcp(443)], [], ["30443"]],
    ["UDP gets none", [tcp(3000, { protocol: "udp" })], [], []],
    ["UDP beside one TCP port does not count", [tcp(3000), tcp(53, { protocol: "udp" })], ["33000"], []],
    ["berth.http chooses among two", [tcp(3000), tcp(4000, { http: true })], ["34000"], []],
    ["berth.http chooses a TLS port for 80", [tcp(8443, { http: true })], ["38443"], []],
    [
      "berth.http chooses a port that says TLS for 443",
      [tcp(3000), tcp(4000, { ...tls, http: true })],
      [],
      ["34000"],
    ],
    [
      "berth.http chooses none in the place of a real 443",
      [tcp(443), tcp(4000, { ...tls, http: true })],
      [],
      ["30443"],
    ],
    ["berth.http=off leaves a TLS port alone", [tcp(3000, { ...tls, http: false })], [], []],
    ["berth.http=80 keeps the real 80", [tcp(80, { http: true }), tcp(3000)], ["30080"], []],
    ["berth.http=off leaves one port alone", [tcp(3000, { http: false })], [], []],
    ["berth.http=off on one replica is enough", [tcp(3000), tcp(3000, { http: false, port: 5 })], [], []],
    ["two choices: the lower port", [tcp(4000, { http: true }), tcp(3000, { http: true })], ["33000"], []],
    [
      "a choice serves the instances that made it",
      [tcp(3000), tcp(3000, { http: true, port: 5 })],
      ["5"],
      [],
    ],
  ])("port 80: %s", async (_, bindings, on80, on443) => {
    const { store } = await makeStore();
    await new TestHost("a", "nas").push(store, bindings);
    const ports = async (port: number) =>
      (await endpointsAt(store, `_${port}._tcp.web`)).map((text) => text.split(":")[1]);
    expect({ on80: await ports(80), on443: await ports(443) }).toEqual({ on80, on443 });
    // An owner without RRs would be a port that clients are told of and cannot reach.
    expect(await existsAt(store, "_80._tcp.web")).toBe(on80.length > 0);
    const listed = await rdataAt(store, "_tcp.web", "PTR");
    expect(listed.includes(`_80._tcp.web.${zone}`)).toBe(on80.length > 0);
  });

  describe("a port that stands in for 80", () => {
    test("makes no _http._tcp", async () => {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, [tcp(3000)]);
      expect(await existsAt(store, "_http._tcp.web")).toBe(false);
    });

    test("leads to unhealthy instances only when none of them is ready", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      const chosen = { http: true, port: 5 };
      await nas.push(store, [tcp(3000), tcp(3000, { ...chosen, health: "unhealthy" })]);
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:5"]);
      expect(await endpointsAt(store, "_3000._tcp.web")).toEqual(["10.0.0.5:33000"]);
      await nas.push(store, [
        tcp(3000, { ...chosen, health: "unhealthy" }),
        tcp(3000, { http: true, port: 6 }),
      ]);
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:6"]);
    });

    test("goes away with the second port of another host", async () => {
      const { store } = await makeStore();
      await new TestHost("a", "nas").push(store, [tcp(3000)]);
      const pi = new TestHost("b", "pi", ["10.0.0.6"]);
      const other = binding("web", { servicePort: 4000, at: ["10.0.0.6"] });
      await pi.push(store, [other]);
      expect(await existsAt(store, "_80._tcp.web")).toBe(false);
      await store.withdraw(pi.hostId);
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:33000"]);
    });
  });
}
