import { describe, expect, test } from "vitest";

import {
  addressSchema,
  familyOf,
  formatEndpoint,
  isLoopback,
  isLoopbackHost,
  isUnspecified,
  parseAddress,
} from "./address.ts";

describe("parseAddress", () => {
  test.each([
    ["10.0.0.5", "10.0.0.5"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:DB8::0:1", "2001:db8::1"],
    ["2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::FFFF:a00:1", "10.0.0.1"],
    ["0:0:0:0:0:ffff:127.0.0.1", "127.0.0.1"],
    ["::ffff:0:10.0.0.1", "::ffff:0:a00:1"],
    ["::10.0.0.1", "::a00:1"],
  ])("%s is written %s (RFC 5952)", (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical);
    expect(parseAddress(canonical), "and stays so").toBe(canonical);
  });

  test.each([
    "",
    " ",
    "localhost",
    "10.0.0",
    "10.0.0.5.6",
    "010.0.0.5",
    "10.0.0.256",
    "0x0a.0.0.5",
    "167772165",
    " 10.0.0.5",
    "10.0.0.5\n",
    "10.0.0.5:80",
    "10.0.0.5/24",
    "１０.0.0.5",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "::00001",
    "::g",
    "[::1]",
    "::1]/@evil",
    "::1\n",
    "fe80::1%eth0",
    "fe80::1%25eth0",
    "::ffff:10.0.0.256",
    "::/0",
  ])("refuses %j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
    expect(addressSchema.safeParse(text).success).toBe(false);
  });

  test("throws at nothing, and what it takes is canonical for good", () => {
    const letters = "0123456789abcdefF:::..[]%/@ -";
    let state = 1;
    for (let round = 0; round < 20_000; round++) {
      let text = "";
      for (let length = state % 24; length > 0; length--) {
        state = (Math.imul(state, 1103515245) + 12345) >>> 1;
        text += letters[state % letters.length];
      }
      state = (Math.imul(state, 1103515245) + 12345) >>> 1;
      const address = parseAddress(text);
      if (address !== undefined) expect(parseAddress(address), text).toBe(address);
    }
  });
});

const address = (text: string) => addressSchema.parse(text);

test("families, loopback and unspecified", () => {
  expect(["10.0.0.5", "::1"].map((text) => familyOf(address(text)))).toEqual([4, 6]);
  const loopback = ["127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"];
  expect(loopback.map((text) => isLoopback(address(text)))).toEqual([true, true, true, true]);
  expect(["128.0.0.1", "::", "::2", "12.7.0.0"].map((text) => isLoopback(address(text)))).not.toContain(true);
  expect(["0.0.0.0", "::", "::ffff:0.0.0.0"].map((text) => isUnspecified(address(text)))).toEqual([
    true,
    true,
    true,
  ]);
  expect(isUnspecified(address("0.0.0.1"))).toBe(false);
});

test.each([
  ["localhost", true],
  ["LOCALHOST.", true],
  ["berth.localhost", true],
  ["127.0.0.1", true],
  ["[::1]", true],
  ["::1", true],
  ["0.0.0.0", false],
  ["[::]", false],
  ["localhost.example.com", false],
  ["notlocalhost", false],
  ["127.0.0.1.example.com", false],
  ["", false],
])("host %j names this machine: %s", (host, expected) => expect(isLoopbackHost(host)).toBe(expected));

test("endpoints are written as in a URL", () => {
  expect(formatEndpoint({ address: "10.0.0.5", port: 80 })).toBe("10.0.0.5:80");
  expect(formatEndpoint({ address: "::1", port: 80 })).toBe("[::1]:80");
});
