import { describe, expect, it } from "vitest";
import { BerthError } from "../../../shared/errors.ts";
import { faultFromRefusal, MemberFault, roundFault, StaleTokenFault } from "./faults.ts";
import { refusalFrom } from "./replies.ts";

const url = "https://etcd-1:2379";

function faultOf(message: string, code?: number, status = 500): Error {
  return faultFromRefusal(url, code === undefined ? { status, message } : { status, code, message }, "berth");
}

function memberFault(untrusted: boolean): MemberFault {
  return new MemberFault(url, "refused", { unapplied: true, untrusted });
}

describe("what etcd refuses", () => {
  it.each([
    ["etcdserver: no leader", 14, { unapplied: true, leaderless: true }],
    ["etcdserver: not leader", 9, { unapplied: true, leaderless: true }],
    ["etcdserver: too many requests", 8, { unapplied: true }],
    ["etcdserver: request timed out", 14, { unapplied: false, leaderless: false }],
    ["etcdserver: request timed out, possibly due to previous leader failure", 14, { unapplied: false }],
    ["etcdserver: leader changed", 14, { unapplied: false }],
    ["context deadline exceeded", 4, { unapplied: false }],
    ["transport is closing", 14, { unapplied: false }],
    ["raft proposal dropped", 2, { unapplied: false }],
  ])("asks another member after: %s", (message, code, expected) => {
    const fault = faultOf(message, code);
    expect(fault).toBeInstanceOf(MemberFault);
    expect(fault).toMatchObject(expected);
  });

  it("asks another member when a proxy before etcd is out of order", () => {
    expect(faultOf("Bad Gateway", undefined, 502)).toBeInstanceOf(MemberFault);
  });

  it.each([
    ["etcdserver: invalid auth token", 16],
    ["etcdserver: revision of auth store is old", 3],
    ["etcdserver: user name is empty", 3],
  ])("wants a new token after: %s", (message, code) => {
    expect(faultOf(message, code)).toBeInstanceOf(StaleTokenFault);
  });

  it.each([
    ["etcdserver: permission denied", 7, "etcd-auth", false],
    ["etcdserver: authentication failed, invalid user ID or password", 3, "etcd-auth", false],
    ["etcdserver: mvcc: required revision has been compacted", 11, "etcd-compacted", false],
    ["etcdserver: mvcc: required revision is a future revision", 11, "etcd-compacted", false],
    ["etcdserver: requested lease not found", 5, "etcd-lease-gone", false],
    ["etcdserver: mvcc: database space exceeded", 8, "etcd-full", true],
    ["etcdserver: request is too large", 3, "etcd-refused", false],
    ["etcdserver: too many operations in txn request", 3, "etcd-refused", false],
    ["Not Found", undefined, "etcd-refused", false],
  ])("says at once: %s", (message, code, expected, retryable) => {
    const fault = faultOf(message, code, 404);
    expect(fault).toBeInstanceOf(BerthError);
    expect(fault).toMatchObject({ code: expected, retryable });
  });

  it("is a matter of certificates only when they are all that stands between", () => {
    expect(roundFault([memberFault(true), memberFault(true)])).toMatchObject({ code: "etcd-untrusted" });
    const mixed = roundFault([memberFault(true), memberFault(false)]);
    expect(mixed).toMatchObject({ code: "etcd-unavailable", retryable: true });
    expect(mixed.message).toContain(url);
  });
});

describe("a gateway's account of a fault", () => {
  it.each([
    ["etcd 3.4 and 3.5", '{"error":"why","message":"why","code":14}'],
    ["etcd 3.6", '{"code":14,"message":"why","details":[]}'],
    ["a stream of 3.4 and 3.5", '{"error":{"grpc_code":14,"http_code":503,"message":"why"}}'],
    ["a stream of 3.6", '{"error":{"code":14,"message":"why","details":[]}}'],
  ])("is read as it comes from %s", (_from, text) => {
    expect(refusalFrom(503, text)).toEqual({ status: 503, code: 14, message: "why" });
  });

  it("is the text itself where it is not the gateway's, and never nothing", () => {
    expect(refusalFrom(502, "<h1>Bad Gateway</h1>\n")).toEqual({
      status: 502,
      message: "<h1>Bad Gateway</h1>",
    });
    expect(refusalFrom(502, "")).toEqual({ status: 502, message: "an empty reply" });
    expect(refusalFrom(502, "null").message).toBe("null");
  });
});
