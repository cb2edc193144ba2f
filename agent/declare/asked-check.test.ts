import { expect, test } from "vitest";

import { checkFromLabel } from "./asked-check.ts";

function read(text: string) {
  const faults: string[] = [];
  return { check: checkFromLabel(text, (message) => faults.push(message)), faults };
}

const usual = { httpPath: undefined, port: undefined, ofWhole: false, intervalMs: 10_000, timeoutMs: 3_000 };

test.each([
  ["tcp", {}],
  [" TCP ", {}],
  ["tcp,port=5432", { port: 5432, ofWhole: true }],
  ["tcp,interval=1m30s,timeout=500ms", { intervalMs: 90_000, timeoutMs: 500 }],
  ["http:/", { httpPath: "/", ofWhole: true }],
  ["http:/health?deep=1,2, interval=2s", { httpPath: "/health?deep=1,2", ofWhole: true, intervalMs: 2_000 }],
  ["http:/a,port=9000", { httpPath: "/a", port: 9000, ofWhole: true }],
])("berth.check=%s", (text, expected) => {
  expect(read(text)).toEqual({ check: { ...usual, ...expected }, faults: [] });
});

test.each([
  ["", /is no check berth knows/],
  ["https:/x", /is no check berth knows/],
  ["http:", /a path begins with/],
  ["http:x", /a path begins with/],
  ["http:/a\r\nHost: b", /a path begins with/],
  [`http:/${"a".repeat(2_000)}`, /a path begins with/],
  ["tcp,port=0", /no container port/],
  ["tcp,interval=5", /a time from 1s to 1h/],
  ["tcp,interval=999ms", /a time from 1s to 1h/],
  ["tcp,interval=2h", /a time from 1s to 1h/],
  ["tcp,timeout=2m", /a time from 100ms to 10s/],
  ["tcp,retries=3", /no option retries; it knows port, interval and timeout/],
])("berth.check=%j is a fault and no check", (text, message) => {
  const { check, faults } = read(text);
  expect(check).toBeUndefined();
  expect(faults).toEqual([expect.stringMatching(message)]);
});
