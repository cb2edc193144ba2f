import { expect, test } from "vitest";

import { parseName } from "./name.ts";
import { defaultNameServer, hostsApex, nameRefusal, portNamesRefusal } from "./reserved.ts";

const zone = parseName("berth.internal");
const servers = [defaultNameServer(zone)];

test.each([
  ["web.berth.internal", undefined],
  ["web.host.shop.berth.internal", undefined],
  ["hosts.berth.internal", undefined],
  ["www.ns.berth.internal", undefined],
  [`${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(34)}.berth.internal`, undefined],
  [`${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.${"d".repeat(35)}.berth.internal`, "too-long"],
  ["berth.internal", "reserved"],
  ["internal", "out-of-zone"],
  ["web.example.com", "out-of-zone"],
  ["webberth.internal", "out-of-zone"],
  ["host.berth.internal", "reserved"],
  ["web.nas.host.berth.internal", "reserved"],
  ["ns.berth.internal", "reserved"],
  ["_tcp.web.berth.internal", "reserved"],
  ["web._tcp.shop.berth.internal", "reserved"],
])("%s: %s", (name, code) => {
  expect(nameRefusal(parseName(name), zone, servers)?.code).toBe(code);
});

test("a host's own names must hold their ports too", () => {
  expect(portNamesRefusal(parseName("web.nas.host.berth.internal"))).toBeUndefined();
  expect(portNamesRefusal(parseName("_web.nas.host.berth.internal"))?.code).toBe("reserved");
  expect(hostsApex(zone)).toBe("host.berth.internal.");
});
