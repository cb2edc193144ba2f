import { describe, expect, test } from "vitest";
import { credentials, greeting, nameRequest, socks4Request } from "../testing/raw-client.ts";
import { Handshake, type HandshakeOutcome, type Users } from "./handshake.ts";

const early = Buffer.from("early");
const both = Uint8Array.of(5, 2, 0, 2);
const request = nameRequest("web.berth.internal", 80);
const destination = { kind: "name", name: "web.berth.internal", port: 80 };
const users: Users = {
  verify: (name, password) =>
    `${Buffer.from(name)}:${Buffer.from(password)}` === "me:secret" ? "me" : undefined,
};

interface Told {
  sent: number[];
  outcome: HandshakeOutcome | undefined;
}

function tell(chunks: readonly Uint8Array[], known?: Users): Told {
  const handshake = new Handshake(known);
  const sent: number[] = [];
  for (const [index, chunk] of chunks.entries()) {
    // What is read is only lent: the buffer is written again after every call.
    const lent = Uint8Array.from(chunk);
    const step = handshake.read(lent);
    sent.push(...step.send);
    lent.fill(0xee);
    if (step.outcome !== undefined) {
      expect(index).toBe(chunks.length - 1);
      return { sent, outcome: step.outcome };
    }
  }
  return { sent, outcome: undefined };
}

function octetsOf(...parts: Uint8Array[]): Uint8Array[] {
  return [...Buffer.concat(parts)].map((octet) => Uint8Array.of(octet));
}

describe("SOCKS5", () => {
  const asked = { protocol: "socks5", command: 1, destination, user: undefined };

  test("message by message", () => {
    expect(tell([greeting, request])).toEqual({
      sent: [5, 0],
      outcome: { kind: "request", request: asked, early: new Uint8Array(0) },
    });
  });

  test("octet by octet, and all at once with what comes after", () => {
    expect(tell(octetsOf(greeting, request)).outcome).toMatchObject({
      request: asked,
      early: new Uint8Array(0),
    });
    const atOnce = tell([Buffer.concat([greeting, request, early])]);
    expect(atOnce).toMatchObject({ sent: [5, 0], outcome: { request: asked } });
    expect(atOnce.outcome).toMatchObject({ early: new Uint8Array(early) });
  });

  test("a client that offers passwords only is told that none is acceptable where nobody has one", () => {
    const outcome = { kind: "no-acceptable-method", wanted: 0 };
    expect(tell([Uint8Array.of(5, 1, 2)])).toEqual({ sent: [5, 255], outcome });
    expect(tell([Uint8Array.of(5, 0)])).toEqual({ sent: [5, 255], outcome });
  });

  test("what is no request is refused in the words of RFC 1928", () => {
    const badType = Uint8Array.of(5, 1, 0, 2);
    expect(tell([greeting, badType])).toMatchObject({
      sent: [5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0],
      outcome: { kind: "refused", refusal: { kind: "address-type-not-supported", addressType: 2 } },
    });
    expect(tell([greeting, Uint8Array.of(4)])).toMatchObject({
      sent: [5, 0, 5, 1, 0, 1, 0, 0, 0, 0, 0, 0],
      outcome: { kind: "refused", refusal: { kind: "malformed-request" } },
    });
  });
});

describe("users", () => {
  const asked = { protocol: "socks5", command: 1, destination, user: "me" };

  test("one with the right password is let in, octet by octet and all at once", () => {
    const messages = [both, credentials("me", "secret"), request] as const;
    expect(tell(messages, users)).toMatchObject({ sent: [5, 2, 1, 0], outcome: { request: asked } });
    expect(tell(octetsOf(...messages), users)).toMatchObject({
      sent: [5, 2, 1, 0],
      outcome: { request: asked },
    });
    expect(tell([Buffer.concat(messages)], users)).toMatchObject({ outcome: { request: asked } });
  });

  test("a wrong password ends the hand-shake, and what came behind it is not looked at", () => {
    const told = tell([Buffer.concat([both, credentials("me", "guess"), request])], users);
    expect(told).toMatchObject({ sent: [5, 2, 1, 1], outcome: { kind: "not-authenticated" } });
    expect(JSON.stringify(told.outcome)).not.toContain("guess");
  });

  test("credentials that are none are answered with a failure", () => {
    expect(tell([both, Uint8Array.of(5)], users)).toMatchObject({
      sent: [5, 2, 1, 1],
      outcome: { kind: "not-authenticated", reason: expect.stringContaining("5, not 1") },
    });
  });

  test("nobody gets by without a password, whatever else he offers", () => {
    for (const methods of [greeting, Uint8Array.of(5, 2, 0, 1), Uint8Array.of(5, 0)]) {
      const outcome = { kind: "no-acceptable-method", wanted: 2 };
      expect(tell([methods], users)).toEqual({ sent: [5, 255], outcome });
    }
  });

  test("SOCKS4 is refused once its request is read", () => {
    expect(tell([socks4Request({ name: "web", port: 80, user: "me" })], users)).toMatchObject({
      sent: [0, 91, 0, 0, 0, 0, 0, 0],
      outcome: { kind: "refused", refusal: { kind: "authentication-required" } },
    });
  });
});

describe("SOCKS4", () => {
  const asked = { protocol: "socks4", command: 1, destination, user: undefined };
  const request4a = socks4Request({ name: "web.berth.internal", port: 80, user: "me" });

  test("octet by octet, and at once with what comes after", () => {
    expect(tell(octetsOf(request4a))).toMatchObject({ sent: [], outcome: { request: asked } });
    const atOnce = tell([Buffer.concat([request4a, early])]);
    expect(atOnce.outcome).toEqual({ kind: "request", request: asked, early: new Uint8Array(early) });
  });

  test("what is no request is refused with 91", () => {
    expect(tell([socks4Request({ name: "", port: 80 })])).toMatchObject({
      sent: [0, 91, 0, 0, 0, 0, 0, 0],
      outcome: { kind: "refused", protocol: "socks4" },
    });
  });
});

test("a capital letter is HTTP, and everything is kept for its own parser", () => {
  const text = Buffer.from("GET http://web.berth.internal/ HTTP/1.1\r\n");
  expect(tell([text], users)).toEqual({ sent: [], outcome: { kind: "http", early: new Uint8Array(text) } });
  expect(tell([Buffer.from("Z")]).outcome).toMatchObject({ kind: "http" });
});

test("every other first octet is turned away without a word", () => {
  for (let firstOctet = 0; firstOctet < 256; firstOctet++) {
    if (firstOctet === 4 || firstOctet === 5 || (firstOctet >= 0x41 && firstOctet <= 0x5a)) continue;
    const outcome = { kind: "unknown-protocol", firstOctet };
    expect(tell([Uint8Array.of(firstOctet, 1, 2)])).toEqual({ sent: [], outcome });
  }
});
