import { expect, test } from "vitest";

import { credentials } from "../testing/raw-client.ts";
import { encodeAuthenticationStatus, parseCredentials } from "./wire-authentication.ts";

function parsedTexts(bytes: Uint8Array) {
  const parsed = parseCredentials(bytes);
  if (parsed.kind !== "value") return parsed;
  const { name, password } = parsed.value;
  return { name: `${Buffer.from(name)}`, password: `${Buffer.from(password)}`, length: parsed.length };
}

test("a name and a password of 1 and of 255 octets", () => {
  expect(parsedTexts(credentials("a", "b"))).toEqual({ name: "a", password: "b", length: 5 });
  const [name, password] = ["a".repeat(255), "b".repeat(255)];
  expect(parsedTexts(credentials(name, password))).toEqual({ name, password, length: 513 });
});

test("empty ones are values: whoever compares them finds nobody", () => {
  expect(parsedTexts(credentials("", ""))).toEqual({ name: "", password: "", length: 3 });
});

test("every shorter prefix is incomplete, and what follows is not touched", () => {
  const whole = credentials("somebody", "secret");
  for (let length = 0; length < whole.length; length++) {
    expect(parseCredentials(whole.subarray(0, length))).toEqual({ kind: "incomplete" });
  }
  expect(parsedTexts(Buffer.concat([whole, whole]))).toMatchObject({ length: whole.length });
});

test("another version is a fault as soon as it is read", () => {
  for (const version of [0, 2, 5]) {
    const reason = expect.stringContaining(`${version}, not 1`);
    expect(parseCredentials(Uint8Array.of(version))).toEqual({ kind: "fault", reason });
  }
});

test("the status is 0 for those who are let in alone", () => {
  expect([...encodeAuthenticationStatus(true)]).toEqual([1, 0]);
  expect([...encodeAuthenticationStatus(false)]).toEqual([1, 1]);
});
