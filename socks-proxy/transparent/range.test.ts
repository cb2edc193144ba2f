import { describe, expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import { addressAt, addressOfReverseName, hostPartOf, ipv6At, parseIpv6Prefix, parseRange } from "./range.ts";

const range = parseRange("127.64.0.0/10");
const prefix = parseIpv6Prefix("fd62:6572:7468::/64");

describe("a range", () => {
  test("gives each host part its address and finds it again, in both families", () => {
    if (prefix === undefined) throw new Error("no prefix");
    for (const host of [0, 1, 255, 256, 70_000, range.size - 1]) {
      expect(hostPartOf(addressAt(range, host), range)).toBe(host);
      expect(hostPartOf(ipv6At(prefix, host), range, prefix)).toBe(host);
    }
    expect(addressAt(range, 0x10203)).toBe("127.65.2.3");
    expect(ipv6At(prefix, 0x10203)).toBe("fd62:6572:7468::1:203");
  });

  test.each([
    "127.63.255.255",
    "127.128.0.0",
    "10.0.0.1",
    "::1",
    "fd62:6572:7468:1::5",
    "fd62:6572:7468::1:0:0:5",
  ])("does not hold %s", (address) => {
    expect(hostPartOf(address as Address, range, prefix)).toBeUndefined();
  });

  test.each(["127.64.0.0", "10.0.0.0/10", "127.0.0.0/8", "127.64.0.1/10", "127.1.1.0/25", "::/64", "off"])(
    "cannot be %s, whose fault says what is right",
    (text) => expect(() => parseRange(text)).toThrow("such as 127.64.0.0/10"),
  );
});

test("an IPv6 prefix is a unique local /64 or off", () => {
  expect(parseIpv6Prefix("off")).toBeUndefined();
  for (const text of ["2001:db8::/64", "fd00::/48", "fd00::1/64", "127.64.0.0/10", ""]) {
    expect(() => parseIpv6Prefix(text)).toThrow('nor "off"');
  }
});

test("names of the reverse tree give their address, parts of them and other names none", () => {
  expect(addressOfReverseName("5.0.64.127.in-addr.arpa.")).toBe("127.64.0.5");
  const nibbles = "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.6.4.7.2.7.5.6.2.6.d.f";
  expect(addressOfReverseName(`${nibbles}.ip6.arpa.`)).toBe("fd62:6572:7468::5");
  for (const name of ["64.127.in-addr.arpa.", "300.0.64.127.in-addr.arpa.", "web.berth.internal."]) {
    expect(addressOfReverseName(name)).toBeUndefined();
  }
});
