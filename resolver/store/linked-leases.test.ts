import { describe, expect, test } from "vitest";

import { createLinkedLeases, type LinkSign } from "./linked-leases.ts";
import { createVolatileLeases } from "./volatile-leases.ts";

const lease = (expiresAt: number) => ({ expiresAt, epoch: 2, sequence: 1 });
const sign = (until: number, fields: Partial<LinkSign> = {}): LinkSign => {
  return { hostId: "a", epoch: 2, generation: "g", until, ...fields };
};

function open(...all: LinkSign[]) {
  const stored = createVolatileLeases(() => "g");
  const leases = createLinkedLeases(stored, (hostId) =>
    all.filter((one) => hostId === undefined || one.hostId === hostId),
  );
  for (const hostId of ["a", "b"]) leases.set(hostId, lease(15));
  return { stored, leases };
}

describe("a lease with links", () => {
  test("runs until the later of what is stored and the last sign of life of any of them", () => {
    const { leases, stored } = open(sign(12), sign(30), sign(25));
    expect(leases.get("a")).toEqual(lease(30));
    expect([...leases.running()]).toEqual([
      ["a", lease(30)],
      ["b", lease(15)],
    ]);
    expect(stored.get("a"), "nothing is written").toEqual(lease(15));
    expect(open(sign(12)).leases.get("a")).toEqual(lease(15));
  });

  test.each([
    ["epoch", { epoch: 1 }],
    ["life of the registry", { generation: "f" }],
    ["host", { hostId: "b" }],
  ])("is not prolonged by a link of another %s", (_, fields) => {
    const { leases } = open(sign(30, fields));
    expect(leases.get("a")).toEqual(lease(15));
    leases.settle(sign(30, { ...fields, hostId: "a" }));
    if (!("hostId" in fields)) expect(leases.get("a")).toEqual(lease(15));
  });

  test("that is over does not come back", () => {
    const { leases } = open(sign(30));
    leases.end("a");
    expect(leases.get("a")).toEqual(lease(0));
    leases.settle(sign(40));
    expect([...leases.running()]).toEqual([["b", lease(15)]]);
  });

  test("keeps what a link did that is gone, and is not shortened by it", () => {
    const { leases, stored } = open();
    leases.settle(sign(12));
    expect(stored.get("a")).toEqual(lease(15));
    leases.settle(sign(20));
    expect(stored.get("a")).toEqual(lease(20));
  });
});
