import { expect, test } from "vitest";

import { addressOf } from "../../client/testing/doh-server.ts";
import { encodeDatagramHeader, parseDatagram } from "./wire-datagram.ts";

const payload = Buffer.from("payload");
const bound = [
  { address: addressOf("10.0.0.5"), port: 53 },
  { address: addressOf("2001:db8::5"), port: 65_535 },
];

test("each form of destination, with its payload as it is", () => {
  for (const source of bound) {
    expect(parseDatagram(Buffer.concat([encodeDatagramHeader(source), payload]))).toEqual({
      kind: "datagram",
      destination: { kind: "address", ...source },
      payload,
    });
  }
  const byName = Buffer.concat([Buffer.of(0, 0, 0, 3, 1, 0x61, 0, 53), payload]);
  expect(parseDatagram(byName)).toMatchObject({
    destination: { kind: "name", name: "a", port: 53 },
    payload,
  });
});

test("an empty payload is a payload", () => {
  const header = Buffer.from(encodeDatagramHeader(bound[0] ?? expect.fail()));
  expect(parseDatagram(header)).toMatchObject({ kind: "datagram", payload: Buffer.alloc(0) });
});

test("the reserved octets say nothing", () => {
  expect(parseDatagram(Buffer.of(9, 9, 0, 1, 1, 2, 3, 4, 0, 1))).toMatchObject({ kind: "datagram" });
});

test("every fragment is one, the last of a sequence too", () => {
  for (const fragment of [1, 127, 128, 255]) {
    expect(parseDatagram(Buffer.of(0, 0, fragment, 1, 1, 2, 3, 4, 0, 1, 7))).toEqual({
      kind: "fault",
      fault: "fragment",
    });
  }
});

test("a header that is cut short, of an unknown address type or with an empty name is malformed", () => {
  for (const source of bound) {
    const header = encodeDatagramHeader(source);
    for (let length = 0; length < header.length; length++) {
      expect(parseDatagram(header.subarray(0, length))).toEqual({ kind: "fault", fault: "malformed" });
    }
  }
  for (const octets of [
    [0, 0, 0, 2, 1, 2, 3, 4, 0, 1],
    [0, 0, 0, 3, 0, 0, 1],
  ]) {
    expect(parseDatagram(Uint8Array.from(octets))).toEqual({ kind: "fault", fault: "malformed" });
  }
});
