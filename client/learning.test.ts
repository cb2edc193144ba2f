import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";

import { parseName } from "../shared/name.ts";
import { learntFrom, textOfLearnt } from "./resolvers/learnt.ts";
import { serviceRecords, startResolver } from "./testing/doh-server.ts";
import { fileWith, startStubBed, stubBedOf } from "./testing/stub-bed.ts";

const shop = parseName("shop.example");
const records = serviceRecords("web.shop.example", 80, [{ address: "10.0.0.5", port: 32768 }]);
const found = { kind: "endpoints", endpoints: [{ port: 32768 }], inZone: true };

test("the zones are learnt before the first name is called the system's, and kept for the next start", async () => {
  const stateDir = join(dirname(fileWith("")), "state");
  const bed = await startStubBed({ records, learnsZones: true, settings: { stateDir } });
  bed.resolver.zones = ["shop.example"];
  expect(bed.stub.zones()).toEqual(["berth.internal."]);
  expect(await bed.resolve("web.shop.example", 80)).toMatchObject(found);
  expect(bed.stub.zoneOf("web.shop.example")).toBe(shop);

  const next = stubBedOf(bed.resolver, { learnsZones: true, settings: { stateDir } });
  expect(next.stub.zones()).toEqual([shop]);
  const others = stubBedOf(await startResolver(), { learnsZones: true, settings: { stateDir } });
  expect(others.stub.zones()).toEqual(["berth.internal."]);
  others.resolver.close();
});

test("what is learnt is told to those who listen", async () => {
  const bed = await startStubBed({ learnsZones: true });
  const heard: unknown[] = [];
  bed.resolver.zones = ["shop.example"];
  bed.stub.onChange((names) => heard.push(names));
  await bed.resolve("two.example", 80);
  expect(heard).toEqual(["all"]);
});

test("zones that are given are not asked for", async () => {
  const bed = await startStubBed({ records, settings: { zone: [shop] } });
  expect(await bed.resolve("web.shop.example", 80)).toMatchObject(found);
  expect(bed.resolver.paths).toEqual([]);
});

test("a resolver that is too old to say leaves the usual zone, and names outside go to the system", async () => {
  const bed = await startStubBed({ records, learnsZones: true });
  bed.resolver.zones = undefined;
  expect(await bed.resolve("two.example", 80)).toMatchObject({ kind: "endpoints", inZone: false });
  expect(bed.stub.zones()).toEqual(["berth.internal."]);
  expect(bed.stub.status().resolvers).toMatchObject([{ state: "current" }]);
});

test("a state directory that cannot be written is said once a try, and costs nothing else", async () => {
  const stateDir = fileWith("a file where a directory should be");
  const bed = await startStubBed({ records, learnsZones: true, settings: { stateDir } });
  bed.resolver.zones = ["shop.example"];
  expect(await bed.resolve("web.shop.example", 80)).toMatchObject(found);
  expect(bed.lines.filter((line) => line.includes("cannot be written"))).toHaveLength(1);
});

test.each([
  "",
  "{",
  "[]",
  '{"resolvers":["https://a.example"],"zones":[],"addresses":{}}',
  '{"resolvers":["https://a.example"],"zones":["x y"],"addresses":{}}',
  '{"resolvers":["https://a.example"],"addresses":{"a.example":["127.1"]}}',
  '{"resolvers":["https://b.example"],"zones":["shop.example"],"addresses":{"b.example":["10.0.0.1"]}}',
])("a file with %j says nothing", (text) => {
  const resolvers = ["https://a.example"];
  expect(learntFrom(text, ["https://a.example/"])).toEqual({ resolvers, zones: undefined, addresses: {} });
});

test("what was learnt is read as it was written, without what a URL's path may hide", () => {
  const file = fileWith("");
  const urls = ["https://a.example/t/secret", "https://b.example"];
  writeFileSync(file, textOfLearnt({ ...learntFrom(undefined, urls), zones: [shop] }));
  const text = readFileSync(file, "utf8");
  expect(text).not.toContain("secret");
  expect(learntFrom(text, urls)).toMatchObject({ zones: [shop], addresses: {} });
});
