import { expect, test } from "vitest";

import type { HostList } from "../shared/registry-views.ts";
import { hostIdFor, hostLines } from "./hosts.ts";

const host = {
  hostId: "a".repeat(52),
  declaredLabel: "nas",
  hostLabel: "nas-2",
  addresses: [],
  local: false,
  epoch: 1,
  digest: "",
  owner: "team-a",
  tokenId: "abcdefgh23",
  lease: 15,
  leaseRemaining: 9.2,
  bindings: 7,
  problems: [],
  refused: [],
};
const list: HostList = { revision: 1, hosts: [host] };

test("a host is meant by its granted label or by its id, also one whose lease is over", () => {
  expect(hostIdFor("nas-2", list)).toBe(host.hostId);
  expect(hostIdFor("b".repeat(52), list)).toBe("b".repeat(52));
});

test("a label nobody has is refused, also one that was only declared", () => {
  expect(() => hostIdFor("nas", list)).toThrow('there is no host "nas"');
});

test("each host has a line with what withdrawing it needs", () => {
  expect(hostLines(list)).toEqual([
    "HOST   OWNER   TOKEN       BINDINGS  LEASE       HOST ID",
    `nas-2  team-a  abcdefgh23  7         10 of 15 s  ${host.hostId}`,
  ]);
  expect(hostLines({ revision: 1, hosts: [] })).toEqual(["no hosts"]);
});
