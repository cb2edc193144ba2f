import { describe, expect, test } from "vitest";

import { addressOf } from "../../client/testing/doh-server.ts";
import { socks4Request } from "../testing/raw-client.ts";
import { encodeSocks4Reply, parseSocks4Request } from "./wire-socks4.ts";

const byAddress = socks4Request({ address: [10, 0, 0, 5], port: 443, user: "me" });
const byName = socks4Request({ name: "web.berth.internal", port: 80, user: "me" });

describe("requests", () => {
  test("SOCKS4 says an address", () => {
    expect(parseSocks4Request(byAddress)).toEqual({
      kind: "value",
      value: { command: 1, destination: { kind: "address", address: "10.0.0.5", port: 443 } },
      length: byAddress.length,
    });
  });

  test("SOCKS4a says a name, by an address that begins with three zeros", () => {
    expect(parseSocks4Request(byName)).toEqual({
      kind: "value",
      value: { command: 1, destination: { kind: "name", name: "web.berth.internal", port: 80 } },
      length: byName.length,
    });
  });

  test("0.0.0.0 is an address, and no name follows it", () => {
    const request = socks4Request({ address: [0, 0, 0, 0], port: 1 });
    expect(parseSocks4Request(request)).toMatchObject({
      value: { destination: { address: "0.0.0.0" } },
      length: 9,
    });
  });

  test("an address written as a name is an address", () => {
    const request = socks4Request({ name: "[::1]", port: 1 });
    expect(parseSocks4Request(request)).toMatchObject({ value: { destination: { address: "::1" } } });
  });

  test("every shorter prefix is incomplete, and what follows is not touched", () => {
    for (const request of [byAddress, byName]) {
      for (let length = 0; length < request.length; length++) {
        expect(parseSocks4Request(request.subarray(0, length))).toEqual({ kind: "incomplete" });
      }
      expect(parseSocks4Request(Buffer.concat([request, byName]))).toMatchObject({ length: request.length });
    }
  });

  test("texts of 255 octets are read; one that does not end after them is malformed, ended or not", () => {
    const longest = "a".repeat(255);
    expect(parseSocks4Request(socks4Request({ name: longest, port: 1, user: longest }))).toMatchObject({
      value: { destination: { name: longest } },
    });
    for (const request of [
      socks4Request({ address: [1, 2, 3, 4], port: 1, user: "a".repeat(256) }),
      socks4Request({ name: "a".repeat(256), port: 1 }),
    ]) {
      expect(parseSocks4Request(request)).toMatchObject({ fault: { kind: "malformed-request" } });
      expect(parseSocks4Request(request.subarray(0, -1))).toMatchObject({ kind: "fault" });
    }
  });

  test("an empty name is malformed", () => {
    expect(parseSocks4Request(socks4Request({ name: "", port: 1 }))).toMatchObject({
      fault: { kind: "malformed-request" },
    });
  });
});

test("a reply says 90 or 91 behind a zero, and an IPv6 address as none", () => {
  const bound = { address: addressOf("10.0.0.5"), port: 443 };
  expect([...encodeSocks4Reply(true, bound)]).toEqual([0, 90, 1, 187, 10, 0, 0, 5]);
  expect([...encodeSocks4Reply(false, { address: addressOf("::1"), port: 0 })]).toEqual([
    0, 91, 0, 0, 0, 0, 0, 0,
  ]);
});
