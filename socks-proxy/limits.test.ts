import { expect, test } from "vitest";

import { Admission } from "./limits.ts";

test("one client gets no more than its share, and others still get theirs", () => {
  const admission = new Admission({ connections: 10, connectionsPerClient: 2 });
  expect([admission.admit("a"), admission.admit("a"), admission.admit("a")]).toEqual([
    undefined,
    undefined,
    "connections of this client",
  ]);
  expect(admission.admit("b")).toBeUndefined();
  expect(admission.connections).toBe(3);
});

test("what is released can be had again", () => {
  const admission = new Admission({ connections: 10, connectionsPerClient: 1 });
  admission.admit("a");
  admission.release("a");
  expect(admission.admit("a")).toBeUndefined();
  expect(admission.connections).toBe(1);
});

test("all together have a limit as well", () => {
  const admission = new Admission({ connections: 2, connectionsPerClient: 2 });
  admission.admit("a");
  admission.admit("b");
  expect(admission.admit("c")).toBe("connections");
});

test("a user is counted wherever the connections come from, and apart from an address of the same text", () => {
  const admission = new Admission({ connections: 10, connectionsPerClient: 1 });
  expect(admission.admit("10.0.0.1")).toBeUndefined();
  expect(admission.admitUser("10.0.0.1")).toBeUndefined();
  expect(admission.admitUser("10.0.0.1")).toBe("connections of this user");
  admission.releaseUser("10.0.0.1");
  expect(admission.admitUser("10.0.0.1")).toBeUndefined();
});

test("an IPv6 network of 64 bits is one client, however many addresses it takes", () => {
  const admission = new Admission({ connections: 10, connectionsPerClient: 2 });
  expect([admission.admit("2001:db8::1"), admission.admit("2001:db8::2:3:4:5")]).toEqual([
    undefined,
    undefined,
  ]);
  expect(admission.admit("2001:db8:0:0:ffff:ffff:ffff:ffff")).toBe("connections of this client");
  expect(admission.admit("2001:db8:0:1::1")).toBeUndefined();
  admission.release("2001:db8::9");
  expect(admission.admit("2001:db8::1")).toBeUndefined();
});
