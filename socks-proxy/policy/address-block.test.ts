import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { type Address, parseAddress } from "../../shared/address.ts";
import { blockOf, carriedAddress, formatBlock, isInBlock, parseBlock } from "./address-block.ts";

function addressOf(text: string): Address {
  return parseAddress(text) ?? expect.fail(`${text} is no address`);
}

describe("an address block", () => {
  test.each([
    ["10.0.0.0/8", "10.255.1.2", true],
    ["10.0.0.0/8", "11.0.0.0", false],
    ["172.16.0.0/12", "172.31.255.255", true],
    ["172.16.0.0/12", "172.32.0.0", false],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "::1", false],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.6", false],
    ["192.0.2.6/31", "192.0.2.7", true],
    ["fc00::/7", "fdff::1", true],
    ["fc00::/7", "fe00::", false],
    ["fe80::/10", "febf:ffff::", true],
    ["fe80::/10", "fec0::", false],
    ["2001:db8::/33", "2001:db8:7fff::1", true],
    ["2001:db8::/33", "2001:db8:8000::", false],
    ["::/0", "2001:db8::1", true],
    ["::/0", "10.0.0.1", false],
    ["::1", "::1", true],
    ["1:2:3:4:5:6:7:8/128", "1:2:3:4:5:6:7:8", true],
  ])("%s, %s: %s", (block, address, isIn) => {
    expect(isInBlock(addressOf(address), blockOf(block))).toBe(isIn);
  });

  test.each([
    "",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0/8",
    "fc00::/129",
    "web/8",
    "::ffff:10.0.0.0/104",
    "10.0.0.0/8.5",
  ])("%j is none", (text) => {
    expect(parseBlock(text)).toBeUndefined();
  });

  test("drops the bits beyond its prefix and is written without them", () => {
    expect(formatBlock(blockOf("10.1.2.3/8"))).toBe("10.0.0.0/8");
    expect(formatBlock(blockOf("2001:db8:ffff::/33"))).toBe("2001:db8:8000::/33");
  });

  test("of a prefix has exactly the addresses that share that many bits", () => {
    const anyOctets = fc.uint8Array({ minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(anyOctets, anyOctets, fc.integer({ min: 0, max: 32 }), (one, other, bits) => {
        const binary = (octets: Uint8Array) =>
          [...octets].map((octet) => octet.toString(2).padStart(8, "0")).join("");
        const isIn = isInBlock(addressOf(other.join(".")), blockOf(`${one.join(".")}/${bits}`));
        expect(isIn).toBe(binary(one).slice(0, bits) === binary(other).slice(0, bits));
      }),
    );
  });
});

describe("the IPv4 address an IPv6 one carries", () => {
  test.each([
    ["::", "0.0.0.0"],
    ["::1", "127.0.0.1"],
    ["::7f00:1", "127.0.0.1"],
    ["::ffff:0:7f00:1", "127.0.0.1"],
    ["64:ff9b::7f00:1", "127.0.0.1"],
    ["64:ff9b::10.0.0.1", "10.0.0.1"],
    ["64:ff9b:1::a00:1", "10.0.0.1"],
    ["2002:7f00:1::", "127.0.0.1"],
    ["2002:7f00::", "127.0.0.0"],
    ["2002:a00:1::1", "10.0.0.1"],
    ["2001:0:4136:e378:8000:63bf:80ff:fffe", "127.0.0.1"],
    ["fe80::5efe:7f00:1", "127.0.0.1"],
    ["2001:db8::200:5efe:a00:1", "10.0.0.1"],
    ["2001:db8::1", undefined],
    ["fd00::7f00:1", undefined],
    ["127.0.0.1", undefined],
  ])("%s: %s", (address, carried) => {
    expect(carriedAddress(addressOf(address))).toBe(carried);
  });
});
