import { expect, test } from "vitest";

import type { Address } from "../shared/address.ts";
import { Admission } from "./limits.ts";

const [ann, ben, cleo] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"] as Address[];

test("one client gets no more than its share, and others still get theirs", () => {
  const admission = new Admission({ connections: 10, connectionsPerClient: 2 });
  expect([admission.admit(ann), admission.admit(ann), admission.admit(ann)]).toEqual([
    undefined,
    undefined,
    "connections of this client",
  ]);
  expect(admission.admit(ben)).toBeUndefined();
  expect(admission.connections).toBe(3);
});

test("what is released can be had again", () => {
  const admission = new Admission({ connections: 10, connectionsPerClient: 1 });
  admission.admit(ann);
  admission.release(ann);
  expect(admission.admit(ann)).toBeUndefined();
  expect(admission.connections).toBe(1);
});

test("all together have a limit as well", () => {
  const admission = new Admission({ connections: 2, connectionsPerClient: 2 });
  admission.admit(ann);
  admission.admit(ben);
  expect(admission.admit(cleo)).toBe("connections");
});

test("a user is counted wherever the connections come from, and apart from an address of the same text", () => {
  const admission = new Admission({ connections: 10, connectionsPerClient: 1 });
  expect(admission.admit("10.0.0.1" as Address)).toBeUndefined();
  expect(admission.admitUser("10.0.0.1")).toBeUndefined();
  expect(admission.admitUser("10.0.0.1")).toBe("connections of this user");
  admission.releaseUser("10.0.0.1");
  expect(admission.admitUser("10.0.0.1")).toBeUndefined();
});

test("an IPv6 network of 64 bits is one client, however many addresses it takes", () => {
  const admission = new Admission({ connections: 10, connectionsPerClient: 2 });
  expect([
    admission.admit("2001:db8::1" as Address),
    admission.admit("2001:db8::2:3:4:5" as Address),
  ]).toEqual([undefined, undefined]);
  expect(admission.admit("2001:db8:0:0:ffff:ffff:ffff:ffff" as Address)).toBe("connections of this client");
  expect(admission.admit("2001:db8:0:1::1" as Address)).toBeUndefined();
  admission.release("2001:db8::9" as Address);
  expect(admission.admit("2001:db8::1" as Address)).toBeUndefined();
});

test("programs of this machine, which are all at one address, share the places of all and nothing less", () => {
  const admission = new Admission({ connections: 4, connectionsPerClient: 1 });
  const local = ["127.0.0.1", "127.0.0.1", "127.9.9.9", "::1"] as Address[];
  expect(local.map((client) => admission.admit(client))).toEqual(local.map(() => undefined));
  expect(admission.admit("127.0.0.1" as Address)).toBe("connections");
  admission.release("127.0.0.1" as Address);
  expect(admission.admit(ann)).toBeUndefined();
});

test("clients that had left before anybody knew where they were count as one", () => {
  const admission = new Admission({ connections: 4, connectionsPerClient: 1 });
  expect(admission.admit(undefined)).toBeUndefined();
  expect(admission.admit(undefined)).toBe("connections of this client");
  admission.release(undefined);
  expect(admission.admit(undefined)).toBeUndefined();
});
