import { expect, test } from "vitest";
import { zone } from "../testing/builders.ts";
import { declarationFromLabels } from "./labels.ts";

const read = (labels: Record<string, string>) => declarationFromLabels(labels, zone);

const names: [string, string[]][] = [
  ["web.shop", ["web.shop.berth.internal."]],
  ["web.shop.berth.internal", ["web.shop.berth.internal."]],
  ["web.shop.berth.internal.", ["web.shop.berth.internal."]],
  ["WEB.Shop", ["web.shop.berth.internal."]],
  ["api, www api", ["api.berth.internal.", "www.berth.internal."]],
  ["ns.shop", ["ns.shop.berth.internal."]],
  ["host.shop", ["host.shop.berth.internal."]],
];
test.each(names)("berth.name=%s", (text, expected) => {
  const { declaration, faults } = read({ "berth.name": text });
  expect(declaration.names).toEqual(expected);
  expect(faults).toEqual([]);
});

const wrongNames: [string, RegExp][] = [
  ["web.example.com.", /not in the zone berth\.internal/],
  ["berth.internal", /the zone itself is reserved/],
  ["web.host", /reserved for container hosts/],
  ["host", /reserved for container hosts/],
  ["ns", /name server/],
  ["_http._tcp.web", /underscore/],
  ["web..shop", /empty label/],
  ["web_1", /letters, digits and inner hyphens/],
  ["a".repeat(64), /longer than 63/],
  ["", /is empty/],
  [" , ", /is empty/],
];
test.each(wrongNames)("berth.name=%s is a fault", (text, message) => {
  const { declaration, faults } = read({ "berth.name": text });
  expect(declaration.names).toEqual([]);
  expect(faults.map((fault) => fault.message)).toEqual([expect.stringMatching(message)]);
});

test("one wrong name leaves the others standing", () => {
  const { declaration, faults } = read({ "berth.name": "api,web.host" });
  expect(declaration.names).toEqual(["api.berth.internal."]);
  expect(faults).toHaveLength(1);
});

test("berth.name gives 64 names at most, the first ones, and says so", () => {
  const words = Array.from({ length: 65 }, (_, index) => `n${index}`);
  const whole = read({ "berth.name": [...words.slice(0, 64), "n0"].join() });
  expect(whole.declaration.names).toHaveLength(64);
  expect(whole.faults).toEqual([]);
  const over = read({ "berth.name": words.join() });
  expect(over.declaration.names).toEqual(whole.declaration.names);
  expect(over.faults).toEqual([
    { code: "too-many", message: expect.stringMatching(/lists 65 names.*may have 64/) },
  ]);
});

test.each([
  ["8080", 8080],
  ["off", "off"],
  ["OFF", "off"],
])("berth.http=%s", (text, expected) => {
  expect(read({ "berth.http": text })).toMatchObject({ declaration: { http: expected }, faults: [] });
});

test.each(["0", "65536", "on", "80/tcp", ""])("berth.http=%s is a fault", (text) => {
  const { declaration, faults } = read({ "berth.http": text });
  expect(declaration.http).toBeUndefined();
  expect(faults[0]?.message).toMatch(/nor "off"/);
});

test.each([
  ["true", true, 0],
  ["1", true, 0],
  ["false", false, 0],
  ["ture", true, 1],
])("berth.ignore=%s", (text, ignore, faults) => {
  const found = read({ "berth.ignore": text });
  expect(found.declaration.ignore).toBe(ignore);
  expect(found.faults).toHaveLength(faults);
});

test("an unknown berth label is a fault that lists the known ones; other people's labels are not read", () => {
  const { faults } = read({ "berth.nmae": "web", "com.example.berth.x": "y", berthing: "z" });
  expect(faults.map(({ message }) => message)).toEqual([
    "berth knows no label berth.nmae; it knows berth.name, berth.http, berth.ignore",
  ]);
});

test("no labels ask for nothing", () => {
  expect(read({})).toEqual({ declaration: { names: undefined, http: undefined, ignore: false }, faults: [] });
});
