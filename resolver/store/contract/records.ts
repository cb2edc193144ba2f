import { describe, expect, test } from "vitest";

import type { Binding } from "../../../shared/binding.ts";
import { binding, endpointsAt, existsAt, ip, rdataAt, TestHost, zone } from "./builders.ts";
import type { MakeStore } from "./harness.ts";

/** Which RRs follow from bindings. */
export function describeRecords(makeStore: MakeStore): void {
  async function storeWith(bindings: Binding[], addresses = ["10.0.0.5"]) {
    const harness = await makeStore();
    await new TestHost("a", "nas", addresses).push(harness.store, bindings);
    return harness.store;
  }
  const both = ["10.0.0.5", "2001:db8::5"];

  describe("a binding", () => {
    test("gives A and AAAA at its name, SRV below, PTR at _tcp, and the host its addresses", async () => {
      const store = await storeWith([binding("web.shop", { port: 32768, at: both })], both);
      expect(await rdataAt(store, "web.shop", "A")).toEqual(["10.0.0.5"]);
      expect(await rdataAt(store, "web.shop", "AAAA")).toEqual(["2001:db8::5"]);
      expect(await rdataAt(store, "_80._tcp.web.shop", "SRV")).toEqual([`0 0 32768 nas.host.${zone}`]);
      expect(await rdataAt(store, "_tcp.web.shop", "PTR")).toEqual([`_80._tcp.web.shop.${zone}`]);
      expect(await rdataAt(store, "nas.host", "AAAA")).toEqual(["2001:db8::5"]);
      expect(await endpointsAt(store, "_80._tcp.web.shop")).toEqual(["10.0.0.5:32768", "2001:db8::5:32768"]);
    });

    test("carries priority and weight", async () => {
      const store = await storeWith([binding("web", { priority: 10, weight: 7 })]);
      expect(await rdataAt(store, "_80._tcp.web", "SRV")).toEqual([`10 7 8080 nas.host.${zone}`]);
    });

    test("of each port and protocol stands for itself; PTRs are listed by port number", async () => {
      const store = await storeWith([
        binding("dns", { servicePort: 853, port: 853 }),
        binding("dns", { servicePort: 53, port: 5300 }),
        binding("dns", { servicePort: 53, port: 5301, protocol: "udp" }),
      ]);
      expect(await endpointsAt(store, "_53._tcp.dns")).toEqual(["10.0.0.5:5300"]);
      expect(await endpointsAt(store, "_53._udp.dns")).toEqual(["10.0.0.5:5301"]);
      const listed = await rdataAt(store, "_tcp.dns", "PTR");
      expect(listed).toEqual([`_53._tcp.dns.${zone}`, `_853._tcp.dns.${zone}`]);
      expect(await rdataAt(store, "_udp.dns", "PTR")).toEqual([`_53._udp.dns.${zone}`]);
    });

    test("repeated for two containers of one host gives one SRV for each published port", async () => {
      const store = await storeWith([binding("web", { port: 32768 }), binding("web", { port: 32769 })]);
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:32768", "10.0.0.5:32769"]);
    });

    test("whose port is one number on two hosts stays two endpoints", async () => {
      const store = await storeWith([binding("web")]);
      await new TestHost("b", "pi", ["10.0.0.6"]).push(store, [binding("web", { at: ["10.0.0.6"] })]);
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:8080", "10.0.0.6:8080"]);
    });

    test("that names an address twice gives it once", async () => {
      const store = await storeWith([binding("web", { at: ["10.0.0.5", "10.0.0.5"] })]);
      expect(await rdataAt(store, "web", "A")).toEqual(["10.0.0.5"]);
      expect(await rdataAt(store, "_80._tcp.web", "SRV")).toEqual([`0 0 8080 nas.host.${zone}`]);
    });
  });

  describe("an SRV target has exactly the addresses where the port is open", () => {
    const all = ["10.0.0.5", "10.0.0.6", "2001:db8::5"];
    test.each([
      ["all of them", all, "nas.host"],
      ["all, in another order", all.toReversed(), "nas.host"],
      ["the IPv4 ones", ["10.0.0.5", "10.0.0.6"], "v4.addr.nas.host"],
      ["the IPv6 one", ["2001:db8::5"], "v6.addr.nas.host"],
      ["one of two", ["10.0.0.6"], "10-0-0-6.addr.nas.host"],
      ["one of each", ["10.0.0.6", "2001:db8::5"], "10-0-0-6x2001-db8-0-0-0-0-0-5.addr.nas.host"],
    ])("%s", async (_, at, target) => {
      const store = await storeWith([binding("web", { at })], all);
      expect(await rdataAt(store, "_80._tcp.web", "SRV")).toEqual([`0 0 8080 ${target}.${zone}`]);
      const owned = [...(await rdataAt(store, target, "A")), ...(await rdataAt(store, target, "AAAA"))];
      expect(owned.toSorted()).toEqual(at.toSorted());
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(at.map((one) => `${one}:8080`).toSorted());
    });

    test("even when they do not fit a label", async () => {
      const many = Array.from({ length: 9 }, (_, i) => `2001:db8:aaaa:bbbb:cccc:dddd:eeee:${i + 1}`);
      const store = await storeWith([binding("web", { at: many.slice(1) })], many);
      const [srv = ""] = await rdataAt(store, "_80._tcp.web", "SRV");
      expect(srv).toMatch(/ set-[0-9a-f]{16}\.addr\.nas\.host\./);
      expect(await endpointsAt(store, "_80._tcp.web")).toHaveLength(8);
    });

    test("so two ports for two families are two SRVs", async () => {
      const set = [
        binding("web", { at: ["10.0.0.5"], port: 32768 }),
        binding("web", { at: ["2001:db8::5"], port: 32800 }),
      ];
      const store = await storeWith(set, both);
      expect((await rdataAt(store, "_80._tcp.web", "SRV")).toSorted()).toEqual([
        `0 0 32768 v4.addr.nas.host.${zone}`,
        `0 0 32800 v6.addr.nas.host.${zone}`,
      ]);
      expect(await endpointsAt(store, "_80._tcp.web")).toEqual(["10.0.0.5:32768", "2001:db8::5:32800"]);
    });

    test("and comes and goes with the ports that need it", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas", both);
      for (const at of [both, ["10.0.0.5"], both]) {
        await nas.push(store, [binding("web", { at })]);
        expect(await existsAt(store, "v4.addr.nas.host")).toBe(at !== both);
        expect(await existsAt(store, "addr.nas.host")).toBe(at !== both);
      }
    });

    test("and moves when the host's addresses do", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("web"), binding("db")]);
      expect(await rdataAt(store, "_80._tcp.db", "SRV")).toEqual([`0 0 8080 nas.host.${zone}`]);
      expect(await rdataAt(store, "nas.host", "A")).toEqual(["10.0.0.5"]);
      const addresses = [ip("10.0.0.5"), ip("10.0.0.9")];
      await nas.push(store, [binding("web"), binding("db")], {}, { addresses });
      expect(await rdataAt(store, "_80._tcp.db", "SRV")).toEqual([`0 0 8080 10-0-0-5.addr.nas.host.${zone}`]);
      expect(await rdataAt(store, "nas.host", "A")).toEqual(["10.0.0.5", "10.0.0.9"]);
    });
  });

  describe("names between", () => {
    test("exist without RRs as far as something stands below them, and no further", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      await nas.push(store, [binding("a.b.c"), binding("d.c")]);
      for (const name of ["b.c", "c", "host"]) {
        const view = await store.read(`${name}.${zone}`);
        expect({ exists: view.exists, rrsets: view.rrsets }, name).toEqual({ exists: true, rrsets: [] });
      }
      expect((await store.read(zone)).exists).toBe(true);
      for (const name of ["x.a.b.c", "x.c", "bc", "x", "x._tcp.d.c"]) {
        expect(await existsAt(store, name), name).toBe(false);
      }
      await nas.push(store, [binding("d.c")]);
      expect(await existsAt(store, "b.c")).toBe(false);
      expect(await existsAt(store, "c")).toBe(true);
      await nas.push(store, []);
      expect(await existsAt(store, "c")).toBe(false);
    });

    test("lose _tcp with their last port of it", async () => {
      const { store } = await makeStore();
      const nas = new TestHost("a", "nas");
      const udp = binding("web", { protocol: "udp", servicePort: 443 });
      await nas.push(store, [binding("web"), udp]);
      expect(await existsAt(store, "_udp.web")).toBe(true);
      await nas.push(store, [binding("web")]);
      expect(await existsAt(store, "_udp.web")).toBe(false);
      expect(await existsAt(store, "_tcp.web")).toBe(true);
    });
  });
}
