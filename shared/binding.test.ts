import { describe, expect, test } from "vitest";

import {
  bindingSchema,
  declaredSchema,
  deltaBodySchema,
  hostIdSchema,
  pushBodySchema,
  renewalBodySchema,
} from "./binding.ts";

const good = {
  name: "Web.Shop.berth.internal",
  rule: "compose",
  protocol: "tcp",
  servicePort: 80,
  addresses: ["10.0.0.5"],
  port: 32768,
  fixed: false,
  container: "shop-web-1",
  instance: "abc 2026-01-01T00:00:00Z",
  health: "none",
  priority: 0,
  weight: 0,
};
const declared = { hostLabel: "nas", addresses: ["10.0.0.5"], local: false, bindings: [good], problems: [] };
const renewal = { lease: 15, digest: "a".repeat(64) };

test("a good push parses, with its names and addresses in canonical form", () => {
  const push = pushBodySchema.parse({
    ...renewal,
    declared: { ...declared, addresses: ["::ffff:10.0.0.5"] },
  });
  expect(push.declared.addresses).toEqual(["10.0.0.5"]);
  expect(push.declared.bindings[0]?.name).toBe("web.shop.berth.internal.");
});

describe("a binding", () => {
  test.each([
    ["name", ""],
    ["name", 7],
    ["rule", "guess"],
    ["protocol", "sctp"],
    ["servicePort", 0],
    ["servicePort", 65_536],
    ["servicePort", 80.5],
    ["servicePort", "80"],
    ["port", -1],
    ["addresses", []],
    ["addresses", ["nas"]],
    ["addresses", Array.from({ length: 33 }, (_, i) => `10.0.0.${i}`)],
    ["fixed", "yes"],
    ["container", ""],
    ["container", "c".repeat(256)],
    ["instance", ""],
    ["instance", "i".repeat(161)],
    ["health", "fine"],
    ["priority", 65_536],
    ["weight", -1],
    ["http", 80],
    ["http", null],
    ["tls", false],
    ["tls", "yes"],
    ["txt", "a=b"],
    ["txt", [7]],
    ["txt", ["novalue"]],
    ["txt", ["=value"]],
    ["txt", ["k\u00e9y=value"]],
    ["txt", ["k\ny=value"]],
    ["txt", [""]],
    ["txt", [`a=${"x".repeat(254)}`]],
    ["txt", [`a=${"\u00e9".repeat(127)}`]],
    ["txt", Array(33).fill("a=b")],
    ["ttl", 5],
  ])("is refused for %s %j", (field, value) => {
    expect(bindingSchema.safeParse({ ...good, [field]: value }).success).toBe(false);
  });

  test.each([
    ["tls", true],
    ["txt", []],
    ["txt", ["path=/a b", "empty=", "two==", "Key With Blanks=\u00e9\n"]],
    ["txt", Array(32).fill(`a=${"x".repeat(253)}`)],
  ])("may say %s %j", (field, value) => {
    expect(bindingSchema.parse({ ...good, [field]: value })).toMatchObject({ [field]: value });
  });

  test.each(Object.keys(good))("is refused without %s", (field) => {
    expect(bindingSchema.safeParse({ ...good, [field]: undefined }).success).toBe(false);
  });
});

describe("a declared set", () => {
  test("may be empty", () => {
    expect(declaredSchema.safeParse({ ...declared, bindings: [] }).success).toBe(true);
  });

  test.each([
    ["an address of another host", { bindings: [{ ...good, addresses: ["10.0.0.5", "10.0.0.6"] }] }],
    ["no address", { addresses: [], bindings: [] }],
    ["a label with a dot", { hostLabel: "nas.attic" }],
    ["an upper-case label", { hostLabel: "NAS" }],
    ["no label", { hostLabel: "" }],
    ["an unknown field", { owner: "me" }],
    ["20,001 bindings", { bindings: Array(20_001).fill(good) }],
    ["1,001 problems", { problems: Array(1001).fill({ container: "c", code: "x", message: "y" }) }],
    ["a novel of a problem", { problems: [{ container: "c", code: "x", message: "y".repeat(501) }] }],
  ])("is refused with %s", (_, changed) => {
    expect(declaredSchema.safeParse({ ...declared, ...changed }).success).toBe(false);
  });

  test("compares addresses by meaning, not by spelling", () => {
    const changed = { addresses: ["2001:DB8::1"], bindings: [{ ...good, addresses: ["2001:db8:0::1"] }] };
    expect(declaredSchema.safeParse({ ...declared, ...changed }).success).toBe(true);
  });
});

test.each([
  ["epoch", 1],
  ["sequence", 1],
  ["generation", "now"],
  ["lease", 0],
  ["lease", 86_401],
  ["digest", "A".repeat(64)],
  ["digest", "a".repeat(63)],
  ["declared", {}],
])("a renewal is refused for %s %j", (field, value) => {
  expect(renewalBodySchema.safeParse(renewal).success).toBe(true);
  expect(renewalBodySchema.safeParse({ ...renewal, [field]: value }).success).toBe(false);
});

describe("a delta", () => {
  const { bindings, ...said } = declared;
  const delta = {
    ...renewal,
    base: "b".repeat(64),
    declared: said,
    changed: bindings,
    gone: ["DB.berth.internal"],
  };
  test("has the set without its bindings, and names in canonical form", () => {
    const parsed = deltaBodySchema.parse(delta);
    expect(parsed.gone).toEqual(["db.berth.internal."]);
    expect(parsed.changed[0]?.name).toBe("web.shop.berth.internal.");
  });

  test.each([
    ["no base", { base: undefined }],
    ["a whole set", { declared }],
    ["no set", { declared: undefined }],
    ["nothing that changed", { changed: undefined }],
    ["nothing that is gone", { gone: undefined }],
    ["a gone name that is none", { gone: ["a..b"] }],
    ["20,001 gone names", { gone: Array(20_001).fill("a") }],
  ])("is refused with %s", (_, changed) => {
    expect(deltaBodySchema.safeParse({ ...delta, ...changed }).success).toBe(false);
  });
});

test("a host id is 52 base32 characters", () => {
  expect(hostIdSchema.safeParse("a2".repeat(26)).success).toBe(true);
  for (const text of [
    "a".repeat(51),
    "a".repeat(53),
    "A".repeat(52),
    "1".repeat(52),
    `${"a".repeat(52)}\n`,
  ]) {
    expect(hostIdSchema.safeParse(text).success, text).toBe(false);
  }
});

test("keys of the object prototype are no way in", () => {
  const text = JSON.stringify({ digest: renewal.digest, declared }).replace("{", '{"__proto__":{"lease":9},');
  const parsed = pushBodySchema.safeParse(JSON.parse(text));
  expect(parsed.success ? parsed.data.lease : "refused").not.toBe(9);
});
