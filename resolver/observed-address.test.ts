import { describe, expect, test } from "vitest";

import { observedFrom } from "./observed-address.ts";
import { ip } from "./store/contract/builders.ts";

const trusted = [ip("10.0.0.2"), ip("10.0.0.3"), ip("2001:db8::2")];

describe("where a request comes from", () => {
  test.each<[what: string, peer: string, forwardedFor: string | undefined, address: string]>([
    ["a peer without a proxy", "198.51.100.7", undefined, "198.51.100.7"],
    ["IPv6, in its one form", "2001:DB8:0::7", undefined, "2001:db8::7"],
    ["IPv4 at a socket for both", "::ffff:198.51.100.7", undefined, "198.51.100.7"],
    ["a link-local peer with its interface", "fe80::1%eth0", undefined, "fe80::1"],
    ["what a stranger claims", "198.51.100.7", "203.0.113.9", "198.51.100.7"],
    ["what a trusted proxy adds", "10.0.0.2", "203.0.113.9", "203.0.113.9"],
    ["a trusted proxy at a socket for both", "::ffff:10.0.0.2", "203.0.113.9", "203.0.113.9"],
    ["a trusted proxy on IPv6", "2001:db8::2", "2001:db8::9", "2001:db8::9"],
    ["behind what the client claimed", "10.0.0.2", "192.0.2.1, 203.0.113.9", "203.0.113.9"],
    ["through two trusted proxies", "10.0.0.2", "192.0.2.1,203.0.113.9 ,10.0.0.3", "203.0.113.9"],
    ["through one that is not", "10.0.0.2", "203.0.113.9, 10.0.0.4", "10.0.0.4"],
    ["a trusted proxy itself, by way of another", "10.0.0.2", "10.0.0.3", "10.0.0.3"],
    ["an entry with a port", "10.0.0.2", "203.0.113.9:4711", "203.0.113.9"],
    ["an IPv6 entry with a port", "10.0.0.2", "[2001:db8::9]:4711", "2001:db8::9"],
    ["an IPv6 entry in brackets", "10.0.0.2", "[2001:db8::9]", "2001:db8::9"],
    ["an IPv4-mapped entry", "10.0.0.2", "::ffff:203.0.113.9", "203.0.113.9"],
  ])("%s", (_, peer, forwardedFor, address) => {
    expect(observedFrom({ peer, forwardedFor }, trusted)).toBe(address);
  });

  test.each([
    ["the runtime does not tell", undefined, "203.0.113.9"],
    ["a trusted proxy says nothing", "10.0.0.2", undefined],
    ["a trusted proxy says nothing after what the client claimed", "10.0.0.2", "192.0.2.1, "],
    ["a trusted proxy says no address", "10.0.0.2", "192.0.2.1, unknown"],
    ["a trusted proxy behind another says no address", "10.0.0.2", "203.0.113.256, 10.0.0.3"],
  ])("is nobody's guess when %s", (_, peer, forwardedFor) => {
    const fault = expect.objectContaining({ code: "not-supported" });
    expect(() => observedFrom({ peer, forwardedFor }, trusted)).toThrow(fault);
  });
});
