import { expect, it } from "vitest";

import { RelayPorts } from "./relay-ports.ts";

const range = { first: 20_000, last: 20_009 };
const hour = 3_600_000;
const none = new Set<number>();

it("offers every port of the range once, and the same order for the same key", () => {
  const ports = new RelayPorts(range, []);
  const offered = ports.candidates(tcp("web"), none, 0).ports;
  expect(offered.toSorted()).toEqual(Array.from({ length: 10 }, (_, index) => 20_000 + index));
  expect(new RelayPorts(range, []).candidates(tcp("web"), none, 5).ports).toEqual(offered);
});

it("begins at different places for different keys, so that few relays want one port", () => {
  const keys = Array.from({ length: 50 }, (_, index) => `/web-${index}/80/tcp`);
  const firsts = keys.map((key) => new RelayPorts(range, []).candidates(tcp(key), none, 0).ports[0]);
  expect(new Set(firsts).size).toBeGreaterThan(6);
});

it("offers a relay its own port first, however long ago it had it", () => {
  const ports = new RelayPorts(range, [{ ...tcp("web"), port: 20_007, usedAt: 0 }]);
  expect(ports.candidates(tcp("web"), none, 1_000 * hour).ports[0]).toBe(20_007);
});

it("never offers a port that is open", () => {
  const ports = new RelayPorts(range, [{ ...tcp("web"), port: 20_007, usedAt: 0 }]);
  const offered = ports.candidates(tcp("web"), new Set([20_007, 20_003]), 0).ports;
  expect(offered).toHaveLength(8);
  expect(offered).not.toContain(20_007);
});

it("lets a port rest for a day before another relay gets it", () => {
  const ports = new RelayPorts(range, []);
  const [first = 0] = ports.candidates(tcp("web"), none, 0).ports;
  ports.allot(tcp("db"), first, 0);
  const early = ports.candidates(tcp("web"), none, 24 * hour - 1);
  expect(early.ports).toHaveLength(9);
  expect(early.ports).not.toContain(first);
  expect(early.resting).toBe(1);
  expect(ports.candidates(tcp("web"), none, 24 * hour)).toMatchObject({ resting: 0 });
  expect(ports.candidates(tcp("web"), none, 24 * hour).ports[0]).toBe(first);
});

it("offers none when all of them rest, and says that they do", () => {
  const ports = new RelayPorts(range, []);
  for (let index = 0; index < 10; index++) ports.allot(tcp(`c${index}`), 20_009 - index, index);
  expect(ports.candidates(tcp("web"), none, 10)).toEqual({ ports: [], resting: 10 });
  expect(ports.candidates(tcp("web"), new Set([20_000]), 10)).toEqual({ ports: [], resting: 9 });
  expect(ports.candidates(tcp("c3"), none, 10)).toEqual({ ports: [20_006], resting: 9 });
  expect(ports.candidates(tcp("web"), none, 24 * hour)).toEqual({ ports: [20_009], resting: 9 });
});

it("lets the former port of a relay that has another one now rest as well, also over a restart", () => {
  const before = new RelayPorts(range, []);
  before.allot(tcp("web"), 20_003, 0);
  before.allot(tcp("web"), 20_004, hour);
  for (const ports of [before, new RelayPorts(range, before.list())]) {
    expect(ports.candidates(tcp("web"), none, 2 * hour).ports).toHaveLength(10);
    expect(ports.candidates(tcp("web"), none, 2 * hour).ports[0]).toBe(20_004);
    const others = ports.candidates(tcp("db"), none, 2 * hour);
    expect(others.resting).toBe(2);
    expect(others.ports).not.toContain(20_003);
    expect(ports.candidates(tcp("db"), none, 24 * hour).ports).toContain(20_003);
  }
});

it("tells TCP ports from UDP ports", () => {
  const ports = new RelayPorts(range, []);
  const [first = 0] = ports.candidates(tcp("dns"), none, 0).ports;
  ports.allot(tcp("dns"), first, 0);
  expect(ports.candidates({ key: "dns", protocol: "udp" }, none, 0).ports[0]).toBe(first);
});

it("gives a port to one relay, and a relay one port", () => {
  const ports = new RelayPorts(range, []);
  ports.allot(tcp("web"), 20_001, 1);
  ports.allot(tcp("db"), 20_001, 2);
  ports.allot(tcp("db"), 20_002, 3);
  expect(ports.list()).toEqual([
    { ...tcp("db"), port: 20_001, usedAt: 2 },
    { ...tcp("db"), port: 20_002, usedAt: 3 },
  ]);
  expect(ports.candidates(tcp("db"), none, 4).ports[0]).toBe(20_002);
  const untouched = new RelayPorts(range, []).candidates(tcp("web"), none, 4).ports;
  const free = untouched.filter((port) => port !== 20_002 && port !== 20_001);
  expect(ports.candidates(tcp("web"), none, 4).ports).toEqual(free);
});

it("takes the latest of stored claims to one port, and none from outside the range", () => {
  const ports = new RelayPorts(range, [
    { ...tcp("old"), port: 20_001, usedAt: 1 },
    { ...tcp("new"), port: 20_001, usedAt: 2 },
    { ...tcp("new"), port: 20_002, usedAt: 1 },
    { ...tcp("out"), port: 19_999, usedAt: 9 },
    { ...tcp("out"), port: 20_010, usedAt: 9 },
  ]);
  expect(ports.list()).toEqual([
    { ...tcp("new"), port: 20_001, usedAt: 2 },
    { ...tcp("new"), port: 20_002, usedAt: 1 },
  ]);
  expect(ports.candidates(tcp("new"), none, 3).ports[0]).toBe(20_001);
});

it("notes now and then that a port is still open, and always when it was for the last time", () => {
  const ports = new RelayPorts(range, []);
  ports.allot(tcp("web"), 20_001, 0);
  expect(ports.stamp(tcp("web"), hour - 1)).toBe(false);
  expect(ports.stamp(tcp("web"), hour)).toBe(true);
  expect(ports.stamp(tcp("web"), hour + 1, true)).toBe(true);
  expect(ports.list()[0]?.usedAt).toBe(hour + 1);
  expect(ports.stamp(tcp("db"), 0, true)).toBe(false);
});

it("follows a clock that was set back", () => {
  const ports = new RelayPorts(range, [{ ...tcp("web"), port: 20_001, usedAt: 1_000 * hour }]);
  expect(ports.stamp(tcp("web"), hour)).toBe(true);
  expect(ports.list()[0]?.usedAt).toBe(hour);
});

function tcp(key: string) {
  return { key, protocol: "tcp" as const };
}
