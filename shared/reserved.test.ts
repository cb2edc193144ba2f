import { expect, test } from "vitest";

import { parseName } from "./name.ts";
import {
  defaultNameServer,
  hostsApex,
  isHostAddressName,
  nameRefusal,
  portNamesRefusal,
} from "./reserved.ts";

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

test("the usual name server's name is reserved where the operator names another, too", () => {
  const other = [parseName("dns.berth.internal")];
  expect(nameRefusal(parseName("ns.berth.internal"), zone, other)?.code).toBe("reserved");
  expect(nameRefusal(parseName("dns.berth.internal"), zone, other)?.code).toBe("reserved");
});

test.each([
  ["nas.host.berth.internal", true],
  ["addr.host.berth.internal", true],
  ["v4.addr.nas.host.berth.internal", true],
  ["addr.addr.addr.host.berth.internal", true],
  ["ns.berth.internal", true],
  ["web.nas.host.berth.internal", false],
  ["addr.nas.host.berth.internal", false],
  ["web.addr.host.berth.internal", false],
  ["v4.addrs.nas.host.berth.internal", false],
  ["x.v4.addr.nas.host.berth.internal", false],
  ["host.berth.internal", false],
  ["berth.internal", false],
  ["web.berth.internal", false],
  ["www.ns.berth.internal", false],
  ["nas.host.shop.berth.internal", false],
  ["nas.ghost.berth.internal", false],
  ["nas.host.example.com", false],
])("%s leads to a container host itself: %s", (name, expected) => {
  expect(isHostAddressName(parseName(name), zone)).toBe(expected);
});

test("a host's own names must hold their ports too", () => {
  expect(portNamesRefusal(parseName("web.nas.host.berth.internal"))).toBeUndefined();
  expect(portNamesRefusal(parseName("_web.nas.host.berth.internal"))?.code).toBe("reserved");
  expect(hostsApex(zone)).toBe("host.berth.internal.");
});
