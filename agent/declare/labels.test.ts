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
    "berth knows no label berth.nmae; it knows berth.name, berth.http, berth.ignore, berth.tls, berth.weight, berth.priority, berth.health, berth.check, berth.publish, berth.network, berth.port.N and berth.txt.KEY",
  ]);
});

const asks = {
  ...{ names: undefined, http: undefined, ignore: false, aliases: [], tls: [], weight: 1, priority: 0 },
  ...{ ignoreHealth: false, check: undefined, publish: undefined, network: undefined, txt: [] },
};

test("no labels ask for nothing", () => {
  expect(read({})).toEqual({ declaration: asks, faults: [] });
});

const right: [string, string, object][] = [
  ["berth.weight", "0", { weight: 0 }],
  ["berth.weight", " 65535 ", { weight: 65535 }],
  ["berth.priority", "10", { priority: 10 }],
  ["berth.health", "Ignore", { ignoreHealth: true }],
  ["berth.network", "shop_default", { network: "shop_default" }],
  ["berth.tls", "true", { tls: "all" }],
  ["berth.tls", "no", { tls: [] }],
  ["berth.tls", "443, 8443", { tls: [443, 8443] }],
  ["berth.publish", "true", { publish: true }],
  ["berth.publish", "false", { publish: false }],
  [
    "berth.publish",
    "8080,53/udp",
    {
      publish: [
        { containerPort: 8080, protocol: "tcp" },
        { containerPort: 53, protocol: "udp" },
      ],
    },
  ],
  ["berth.port.80", "8080", { aliases: [{ protocol: "tcp", servicePort: 80, containerPort: 8080 }] }],
  ["berth.port.53/udp", "5353", { aliases: [{ protocol: "udp", servicePort: 53, containerPort: 5353 }] }],
  ["berth.port.53/UDP", "5353/udp", { aliases: [{ protocol: "udp", servicePort: 53, containerPort: 5353 }] }],
  ["berth.txt.path", "/admin", { txt: ["path=/admin"] }],
  ["berth.txt.empty", "", { txt: ["empty="] }],
  ["berth.check", "off", { check: "off" }],
];
test.each(right)("%s=%s", (label, text, expected) => {
  expect(read({ [label]: text })).toEqual({ declaration: { ...asks, ...expected }, faults: [] });
});

const wrong: [string, string, RegExp][] = [
  ["berth.weight", "-1", /whole number from 0 to 65535; 1 holds/],
  ["berth.priority", "65536", /whole number from 0 to 65535; 0 holds/],
  ["berth.health", "off", /give ignore, or remove the label/],
  ["berth.network", " ", /give the name of one of the container's networks/],
  ["berth.tls", "yes please", /neither true nor a list of ports such as 443,8443/],
  ["berth.publish", "80/sctp", /neither true nor a list of container ports/],
  ["berth.port.http", "80", /write it as berth.port.80 or berth.port.53\/udp/],
  ["berth.port.0", "80", /write it as/],
  ["berth.port.80", "0", /give its number, 1 to 65535, alone/],
  ["berth.port.80", "53/udp", /give its number/],
  ["berth.txt.a=b", "c", /none of them "="/],
  ["berth.txt.\u00e4", "c", /printable ASCII/],
  ["berth.txt.k", "x".repeat(254), /longer than 255 bytes/],
  ["berth.check", "ping", /give tcp, http:\/path/],
];
test.each(wrong)("%s=%s is a fault and asks for nothing", (label, text, message) => {
  const { declaration, faults } = read({ [label]: text });
  expect(declaration).toEqual(asks);
  expect(faults).toEqual([{ code: "bad-label", message: expect.stringMatching(message) }]);
});

test("one wrong port in a list leaves the others standing", () => {
  const { declaration, faults } = read({ "berth.tls": "443,x" });
  expect(declaration.tls).toEqual([443]);
  expect(faults).toHaveLength(1);
});

test("txt keys that differ in case alone are one", () => {
  const { declaration, faults } = read({ "berth.txt.PATH": "/a", "berth.txt.Path": "/b" });
  expect(declaration.txt).toEqual(["PATH=/a"]);
  expect(faults[0]?.message).toMatch(/upper and lower case/);
});

test("33 txt labels are one too many, and so are 65 berth.port labels", () => {
  const many = (count: number, prefix: string) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${prefix}${index + 1}`, "80"]));
  const { declaration, faults } = read({ ...many(33, "berth.txt."), ...many(65, "berth.port.") });
  expect(declaration.txt).toHaveLength(32);
  expect(declaration.aliases).toHaveLength(64);
  expect(faults.map(({ code }) => code)).toEqual(["too-many", "too-many"]);
});
