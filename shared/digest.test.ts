import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";

import { type Declared, declaredSchema } from "./binding.ts";
import { canonicalText, digestOf } from "./digest.ts";

const web = {
  name: "web.shop.berth.internal",
  rule: "compose",
  protocol: "tcp",
  servicePort: 80,
  addresses: ["2001:db8::5", "10.0.0.5"],
  port: 32768,
  fixed: false,
  container: "shop-web-1",
  instance: "3f2a 2026-01-01T00:00:00Z",
  health: "healthy",
  priority: 0,
  weight: 0,
};
const db = {
  ...web,
  name: "db.shop.berth.internal",
  servicePort: 5432,
  port: 5432,
  fixed: true,
  http: false,
};
const problems = [
  { container: "b", code: "no-port", message: "publishes no port" },
  { container: "a", code: "no-port", message: 'publishes "no" port\n' },
];
const set = {
  hostLabel: "nas",
  addresses: ["2001:db8::5", "10.0.0.5"],
  local: false,
  bindings: [web, db],
  problems,
};
const declared = declaredSchema.parse(set);

// Written down by hand: an agent in another language must arrive at the same octets.
const text =
  '{"hostLabel":"nas","addresses":["10.0.0.5","2001:db8::5"],"local":false,"bindings":[' +
  '"[\\"db.shop.berth.internal.\\",\\"tcp\\",5432,[\\"10.0.0.5\\",\\"2001:db8::5\\"],5432,true,\\"compose\\",\\"shop-web-1\\",\\"3f2a 2026-01-01T00:00:00Z\\",\\"healthy\\",0,0,false]",' +
  '"[\\"web.shop.berth.internal.\\",\\"tcp\\",80,[\\"10.0.0.5\\",\\"2001:db8::5\\"],32768,false,\\"compose\\",\\"shop-web-1\\",\\"3f2a 2026-01-01T00:00:00Z\\",\\"healthy\\",0,0,null]"' +
  '],"problems":[' +
  '"[\\"a\\",\\"no-port\\",\\"publishes \\\\\\"no\\\\\\" port\\\\n\\"]",' +
  '"[\\"b\\",\\"no-port\\",\\"publishes no port\\"]"' +
  "]}";

describe("the digest", () => {
  test("is the SHA-256 of the canonical text, known answer", async () => {
    expect(canonicalText(declared)).toBe(text);
    expect(await digestOf(declared)).toBe(createHash("sha256").update(text).digest("hex"));
    expect(await digestOf(declared)).toBe("35b21e201460992b0ffeb64349e9065afa20a59fe96d8cd39213349c293a4f12");
  });

  test("does not depend on any order", async () => {
    const reversed = {
      problems: problems.toReversed(),
      bindings: [db, { ...web, addresses: web.addresses.toReversed() }],
      addresses: set.addresses.toReversed(),
      local: false,
      hostLabel: "nas",
    };
    expect(await digestOf(declaredSchema.parse(reversed))).toBe(await digestOf(declared));
  });

  const changes: [string, Partial<Declared>][] = [
    ["hostLabel", { hostLabel: "nas2" }],
    ["addresses", { addresses: declared.addresses.slice(1), bindings: [] }],
    ["local", { local: true }],
    ["problems", { problems: [] }],
    ...Object.entries({
      name: "x.berth.internal.",
      rule: "label",
      protocol: "udp",
      servicePort: 81,
      addresses: ["10.0.0.5"],
      port: 9,
      fixed: true,
      container: "other",
      instance: "other",
      health: "none",
      priority: 1,
      weight: 1,
      http: true,
      tls: true,
      txt: ["a=b"],
    }).map(([field, value]): [string, Partial<Declared>] => [
      `bindings[].${field}`,
      { bindings: declaredSchema.parse({ ...set, bindings: [{ ...web, [field]: value }, db] }).bindings },
    ]),
  ];
  test.each(changes)("covers %s", async (_, changed) => {
    expect(await digestOf({ ...declared, ...changed })).not.toBe(await digestOf(declared));
  });

  test("tells http false from absent, and one binding from two alike", async () => {
    const [one] = declared.bindings;
    const sets = [[{ ...one, http: false }], [one], [one, one]].map((bindings) =>
      digestOf({ ...declared, bindings: bindings as Declared["bindings"] }),
    );
    expect(new Set(await Promise.all(sets)).size).toBe(3);
  });

  test("has TLS and texts at the end of a binding that says either, known answer", async () => {
    const said = { ...web, name: "x.berth.internal", addresses: ["10.0.0.5"] };
    const bindings = [
      { ...said, tls: true },
      { ...said, txt: ["b=2", "a=1"] },
    ];
    const set2 = declaredSchema.parse({ ...set, bindings, problems: [] });
    const start =
      '\\"x.berth.internal.\\",\\"tcp\\",80,[\\"10.0.0.5\\"],32768,false,\\"compose\\",\\"shop-web-1\\",\\"3f2a 2026-01-01T00:00:00Z\\",\\"healthy\\",0,0,null';
    expect(canonicalText(set2)).toBe(
      `{"hostLabel":"nas","addresses":["10.0.0.5","2001:db8::5"],"local":false,"bindings":["[${start},false,[\\"a=1\\",\\"b=2\\"]]","[${start},true,[]]"],"problems":[]}`,
    );
    const turned = [
      { ...said, txt: ["a=1", "b=2"] },
      { ...said, tls: true },
    ];
    expect(await digestOf(declaredSchema.parse({ ...set, bindings: turned, problems: [] }))).toBe(
      await digestOf(set2),
    );
  });

  test("takes an empty list of texts for none", async () => {
    const bindings = declared.bindings.map((one) => ({ ...one, txt: [] }));
    expect(await digestOf({ ...declared, bindings })).toBe(await digestOf(declared));
  });
});
