import { createHash } from "node:crypto";
import { expect, test } from "vitest";

import { contentDigestOf, matchesContentDigest } from "./content-digest.ts";

const body = new TextEncoder().encode('{"hello": "world"}\n');
// RFC 9530 §B.1 prints this one.
const field = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";

test("a content digest is RFC 9530's, and Node's crypto agrees", async () => {
  expect(await contentDigestOf(body)).toBe(field);
  expect(field).toContain(createHash("sha256").update(body).digest("base64"));
  expect(await matchesContentDigest(field, body)).toBe(true);
});

test("digests by other algorithms may stand beside it", async () => {
  const sha512 = `sha-512=:${createHash("sha512").update("something else").digest("base64")}:`;
  expect(await matchesContentDigest(`${sha512}, ${field}, x;y=1`, body)).toBe(true);
});

test.each([
  ["none by SHA-256", `sha-512=:${createHash("sha512").update(body).digest("base64")}:`],
  ["one of another body", field.replace("R", "S")],
  ["none at all", ""],
  ["a cut one", "sha-256=:RK/0:"],
  ["text", `sha-256="${field.slice(9, -1)}"`],
  ["a list", "sha-256=(x)"],
])("%s does not match", async (_, text) => {
  expect(await matchesContentDigest(text, body)).toBe(false);
});

test.each([
  ["hex", "sha-256=44aff4ab"],
  ["two by SHA-256", `${field}, ${field}`],
])("%s is malformed, or another body's", async (_, text) => {
  const result = matchesContentDigest(text, body).catch((fault: { code: string }) => fault.code);
  expect([false, "bad-field"]).toContain(await result);
});
