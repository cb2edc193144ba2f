import { describe, expect, test } from "vitest";

import { addressOf } from "../../client/testing/doh-server.ts";
import { seededRandom } from "../../client/testing/random.ts";
import { nameRequest } from "../testing/raw-client.ts";
import {
  encodeMethodSelection,
  encodeNameReply,
  encodeReply,
  Method,
  type Parsed,
  parseMethods,
  parseRequest,
  Rep,
} from "./wire.ts";

const earlyData = Uint8Array.of(0xaa, 0xbb);
const port443 = [1, 187];
const ipv4Request = Uint8Array.of(5, 1, 0, 1, 10, 0, 0, 5, ...port443);
const ipv6Request = Uint8Array.of(5, 1, 0, 4, 0x20, 1, 0x0d, 0xb8, ...new Uint8Array(11), 5, ...port443);

describe("methods", () => {
  test("the list is the count's octets and no more", () => {
    const parsed = parsedValue(parseMethods(Uint8Array.of(5, 2, 0, 2, ...earlyData)));
    expect([...parsed.value]).toEqual([0, 2]);
    expect(parsed.length).toBe(4);
  });

  test("an empty list is a value", () => {
    expect([...parsedValue(parseMethods(Uint8Array.of(5, 0))).value]).toEqual([]);
  });

  test("the first octet alone tells that it is not SOCKS5", () => {
    const fault = { kind: "malformed-request", reason: "the version is 4, not 5" };
    expect(parseMethods(Uint8Array.of(4))).toEqual({ kind: "fault", fault });
  });

  test("every shorter prefix is incomplete", () => {
    expectPrefixesIncomplete(parseMethods, Uint8Array.of(5, 3, 0, 1, 2));
  });

  test("255 methods", () => {
    expect(parsedValue(parseMethods(Uint8Array.of(5, 255, ...new Uint8Array(255)))).value).toHaveLength(255);
  });
});

describe("requests", () => {
  test("each form says its destination", () => {
    expect(destinationOf(ipv4Request)).toEqual({ kind: "address", address: "10.0.0.5", port: 443 });
    expect(destinationOf(ipv6Request)).toEqual({ kind: "address", address: "2001:db8::5", port: 443 });
    expect(destinationOf(nameRequest("web.berth.internal", 80))).toEqual({
      kind: "name",
      name: "web.berth.internal",
      port: 80,
    });
  });

  test("every shorter prefix of every form is incomplete, and what follows is not touched", () => {
    for (const request of [ipv4Request, ipv6Request, nameRequest("web.berth.internal", 80)]) {
      expectPrefixesIncomplete(parseRequest, request);
      expect(parsedValue(parseRequest(Buffer.concat([request, earlyData]))).length).toBe(request.length);
    }
  });

  test("an address written as a name is an address", () => {
    expect(destinationOf(nameRequest("10.0.0.5", 1))).toMatchObject({ kind: "address", address: "10.0.0.5" });
    expect(destinationOf(nameRequest("2001:DB8:0::5", 1))).toMatchObject({ address: "2001:db8::5" });
    expect(destinationOf(nameRequest("[::1]", 1))).toMatchObject({ address: "::1" });
  });

  test("a byte order mark is a part of the name, which no name has", () => {
    expect(destinationOf(nameRequest("\uFEFFweb", 1))).toMatchObject({ name: "\uFEFFweb" });
  });

  test("an IPv4-mapped IPv6 address is its IPv4 address", () => {
    const mapped = Uint8Array.of(5, 1, 0, 4, ...new Uint8Array(10), 255, 255, 10, 0, 0, 5, ...port443);
    expect(destinationOf(mapped)).toMatchObject({ address: "10.0.0.5" });
  });

  test("names of 1 and 255 octets, ports 0 and 65535", () => {
    expect(destinationOf(nameRequest("a", 0))).toEqual({ kind: "name", name: "a", port: 0 });
    const longest = "a".repeat(255);
    expect(destinationOf(nameRequest(longest, 65535))).toEqual({ kind: "name", name: longest, port: 65535 });
  });

  test("an empty name is malformed as soon as its length is read", () => {
    expect(parseRequest(Uint8Array.of(5, 1, 0, 3, 0))).toMatchObject({
      fault: { kind: "malformed-request" },
    });
  });

  test("an unknown address type is a fault as soon as it is read", () => {
    for (const addressType of [0, 2, 5, 255]) {
      const fault = { kind: "address-type-not-supported", addressType };
      expect(parseRequest(Uint8Array.of(5, 1, 0, addressType))).toEqual({ kind: "fault", fault });
    }
  });

  test("other commands are values: they get a reply of their own", () => {
    for (const command of [0, 2, 3, 255]) {
      expect(parsedValue(parseRequest(nameRequest("a", 1, command))).value.command).toBe(command);
    }
  });
});

describe("replies", () => {
  test("the bound address is written at full length, zeros included", () => {
    const ipv4 = { address: addressOf("10.0.0.5"), port: 443 };
    expect([...encodeReply(Rep.Succeeded, ipv4)]).toEqual([5, 0, 0, 1, 10, 0, 0, 5, ...port443]);
    const ipv6 = { address: addressOf("2001:db8::5"), port: 443 };
    const octets = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
    expect([...encodeReply(Rep.HostUnreachable, ipv6)]).toEqual([5, 4, 0, 4, ...octets, ...port443]);
  });

  test("IPv6 in every shape comes back as it was", () => {
    const texts = [
      "::",
      "::1",
      "1::",
      "2001:db8::",
      "fe80::1:2:3:4",
      "1:2:3:4:5:6:7:8",
      "1:0:0:2::",
      "64:ff9b::1",
    ];
    for (const text of texts) {
      const address = addressOf(text);
      const reply = encodeReply(Rep.Succeeded, { address, port: 65535 });
      expect(reply).toHaveLength(22);
      // A reply and a request differ in the second octet only.
      expect(destinationOf(reply)).toEqual({ kind: "address", address, port: 65535 });
    }
  });

  test("a name in the place of the bound address, as Tor answers RESOLVE_PTR", () => {
    expect([...encodeNameReply("ab")]).toEqual([5, 0, 0, 3, 2, 0x61, 0x62, 0, 0]);
    expect(encodeNameReply("a".repeat(300))).toHaveLength(4 + 1 + 255 + 2);
  });

  test("method selection", () => {
    expect([...encodeMethodSelection(Method.NoneAcceptable)]).toEqual([5, 255]);
  });
});

test("30,000 random inputs: nothing throws, and no value claims more octets than there are", () => {
  const random = seededRandom(1928);
  const seen = new Set<string>();
  for (let round = 0; round < 30_000; round++) {
    const bytes = randomBytes(random);
    for (const parsed of [parseMethods(bytes), parseRequest(bytes)]) {
      seen.add(parsed.kind);
      if (parsed.kind === "value") expect(parsed.length).toBeLessThanOrEqual(bytes.length);
    }
  }
  expect([...seen].toSorted()).toEqual(["fault", "incomplete", "value"]);
});

/** Half of them begin like a request, so that the deeper branches are reached. */
function randomBytes(random: () => number): Uint8Array {
  const bytes = Uint8Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256));
  if (random() < 0.5)
    bytes.set([5, 1, 0, Math.floor(random() * 6), Math.floor(random() * 30)].slice(0, bytes.length));
  return bytes;
}

function destinationOf(bytes: Uint8Array) {
  return parsedValue(parseRequest(bytes)).value.destination;
}

function parsedValue<T>(parsed: Parsed<T>): { value: T; length: number } {
  if (parsed.kind !== "value") throw new Error(`not a value: ${JSON.stringify(parsed)}`);
  return parsed;
}

function expectPrefixesIncomplete<T>(parse: (bytes: Uint8Array) => Parsed<T>, whole: Uint8Array): void {
  for (let length = 0; length < whole.length; length++) {
    expect(parse(whole.subarray(0, length))).toEqual({ kind: "incomplete" });
  }
  expect(parsedValue(parse(whole)).length).toBe(whole.length);
}
