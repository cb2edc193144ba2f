import { expect, test } from "vitest";

import { base32FromBytes, base64FromBytes, bytesFromBase64, bytesFromBase64Url } from "./base64.ts";

// RFC 4648 §10.
test.each([
  ["", "", ""],
  ["f", "Zg==", "my"],
  ["fo", "Zm8=", "mzxq"],
  ["foo", "Zm9v", "mzxw6"],
  ["foob", "Zm9vYg==", "mzxw6yq"],
  ["fooba", "Zm9vYmE=", "mzxw6ytb"],
  ["foobar", "Zm9vYmFy", "mzxw6ytboi"],
])("%j is %j in base64 and %j in base32", (text, base64, base32) => {
  const bytes = new TextEncoder().encode(text);
  expect(base64FromBytes(bytes)).toBe(base64);
  expect(bytesFromBase64(base64)).toEqual(bytes);
  expect(bytesFromBase64Url(base64.replaceAll("=", ""))).toEqual(bytes);
  expect(base32FromBytes(bytes)).toBe(base32);
});

test("every octet comes back, in both alphabets", () => {
  const all = Uint8Array.from({ length: 256 }, (_, index) => index);
  expect(bytesFromBase64(Buffer.from(all).toString("base64"))).toEqual(all);
  expect(bytesFromBase64Url(Buffer.from(all).toString("base64url"))).toEqual(all);
  expect(base64FromBytes(all)).toBe(Buffer.from(all).toString("base64"));
});

test.each([
  ["no padding", "Zg", undefined],
  ["too much padding", "Zm9v====", undefined],
  ["a length no octets have", "Z", undefined],
  ["bits beyond the last octet", "Zh==", "Zh"],
  ["white space", "Zm 9", "Zm 9"],
  ["a line end after it", "Zm9v\n", "Zm9v\n"],
  ["the other alphabet", "-_8=", "+/8"],
  ["padding inside", "Zg==Zg==", "Zg==Zg"],
])("%s is refused", (_, base64, base64url) => {
  expect(bytesFromBase64(base64)).toBeUndefined();
  if (base64url !== undefined) expect(bytesFromBase64Url(base64url)).toBeUndefined();
});
