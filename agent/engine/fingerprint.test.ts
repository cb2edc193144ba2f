import { expect, test } from "vitest";

import { fingerprintOf } from "./fingerprint.ts";

const entry = {
  Id: "7f5b",
  State: "running",
  Status: "Up 3 seconds",
  Ports: [
    { IP: "0.0.0.0", PublicPort: 32768 },
    { IP: "::", PublicPort: 32768 },
  ],
};

test("it is as short for a megabyte of labels as for none", () => {
  const labelled = fingerprintOf({ ...entry, Labels: { a: "x".repeat(2 ** 20) } });
  expect(labelled).toHaveLength(fingerprintOf(entry).length);
  expect(labelled).not.toBe(fingerprintOf({ ...entry, Labels: { a: "x".repeat(2 ** 20 - 1) } }));
});

test("its age is not part of it", () => {
  expect(fingerprintOf({ ...entry, Status: "Up 2 minutes" })).toBe(fingerprintOf(entry));
});

test("health and pause, which stand in the same text, are", () => {
  const seen = [
    "Up 3 seconds",
    "Up 3 seconds (healthy)",
    "Up 3 seconds (unhealthy)",
    "Up 3 seconds (Paused)",
  ];
  expect(fingerprintOf({ ...entry, Status: "Exited (0) 3 seconds ago" })).toBe(fingerprintOf(entry));
  const texts = [...seen, "Up 3 seconds (health: starting)"].map((Status) =>
    fingerprintOf({ ...entry, Status }),
  );
  expect(new Set(texts).size).toBe(5);
});

test("the order of ports and keys means nothing", () => {
  const { Ports, ...rest } = entry;
  expect(fingerprintOf({ Ports: Ports.toReversed(), ...rest })).toBe(fingerprintOf(entry));
});

test("anything else is part of it, known to us or not", () => {
  expect(fingerprintOf({ ...entry, NetworkSettings: { EndpointID: "b" } })).not.toBe(fingerprintOf(entry));
});
