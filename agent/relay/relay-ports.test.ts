import { expect, it } from "vitest";

import { RelayPorts } from "./relay-ports.ts";

const range = { first: 20_000, last: 20_009 };
const hour = 3_600_000;
const none = new Set<number>();

it("offers every port of the range once, and the same order for the same key", () => {
  const ports = new RelayPorts(range, []);
  const offered = ports.candidates(tcp("web"), none, 0);
  expect(offered.toSorted()).toEqual(Array.from({ length: 10 }, (_, index) => 20_000 + index));
  expect(new RelayPorts(range, []).candidates(tcp("web"), none, 5)).toEqual(offered);
});

it("begins at different places for different keys, so that few relays want one port", () => {
  const keys = Array.from({ length: 50 }, (_, index) => `/web-${index}/80/tcp`);
  const firsts = keys.map((key) => new RelayPorts(range, []).candidates(tcp(key), none, 0)[0]);
  expect(new Set(firsts).size).toBeGreaterThan(6);
});

it("offers a relay its own port first, however long ago it had it", () => {
  const ports = new RelayPorts(range, [{ ...tcp("web"), port: 20_007, usedAt: 0 }]);
  expect(ports.candidates(tcp("web"), none, 1_000 * hour)[0]).toBe(20_007);
});

it("never offers a port that is open", () => {
  const ports = new RelayPorts(range, [{ ...tcp("web"), port: 20_007, usedAt: 0 }]);
  const offered = ports.candidates(tcp("web"), new Set([20_007, 20_003]), 0);
  expect(offered).toHaveLength(8);
  expect(offered).not.toContain(20_007);
});

it("lets a port rest for a day before another relay gets it", () => {
  const ports = new RelayPorts(range, []);
  const [first = 0] = ports.candidates(tcp("web"), none, 0);
  ports.allot(tcp("db"), first, 0);
  expect(ports.candidates(tcp("web"), none, 24 * hour - 1).at(-1)).toBe(first);
  expect(ports.candidates(tcp("web"), none, 24 * hour)[0]).toBe(first);
});

it("offers resting ports when there are no others, the longest rested first", () => {
  const ports = new RelayPorts(range, []);
  for (let index = 0; index < 10; index++) ports.allot(tcp(`c${index}`), 20_009 - index, index);
  expect(ports.candidates(tcp("web"), none, 10)).toEqual(
    Array.from({ length: 10 }, (_, index) => 20_009 - index),
  );
});

it("tells TCP ports from UDP ports", () => {
  const ports = new RelayPorts(range, []);
  const [first = 0] = ports.candidates(tcp("dns"), none, 0);
  ports.allot(tcp("dns"), first, 0);
  expect(ports.candidates({ key: "dns", protocol: "udp" }, none, 0)[0]).toBe(first);
});

it("gives a port to one relay, and a relay one port", () => {
  const ports = new RelayPorts(range, []);
  ports.allot(tcp("web"), 20_001, 1);
  ports.allot(tcp("db"), 20_001, 2);
  ports.allot(tcp("db"), 20_002, 3);
  expect(ports.list()).toEqual([{ ...tcp("db"), port: 20_002, usedAt: 3 }]);
  const untouched = new RelayPorts(range, []).candidates(tcp("web"), none, 4);
  const free = untouched.filter((port) => port !== 20_002);
  expect(ports.candidates(tcp("web"), none, 4)).toEqual([...free, 20_002]);
});

it("takes the latest of stored claims to one port, and none from outside the range", () => {
  const ports = new RelayPorts(range, [
    { ...tcp("old"), port: 20_001, usedAt: 1 },
    { ...tcp("new"), port: 20_001, usedAt: 2 },
    { ...tcp("new"), port: 20_002, usedAt: 1 },
    { ...tcp("out"), port: 19_999, usedAt: 9 },
    { ...tcp("out"), port: 20_010, usedAt: 9 },
  ]);
  expect(ports.list()).toEqual([{ ...tcp("new"), port: 20_001, usedAt: 2 }]);
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
