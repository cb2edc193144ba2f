import { describe, expect, test } from "vitest";

import { parseName } from "../../shared/name.ts";
import { addressRecord, serviceRecords } from "../testing/doh-server.ts";
import { soon, startStubBed } from "../testing/stub-bed.ts";

const text = "web.berth.internal";
const name = parseName(text);
const endpoint = [{ address: "10.0.0.5", port: 32768 }];
const records = [
  ...serviceRecords(text, 80, endpoint),
  ...serviceRecords(text, 22, endpoint),
  ...serviceRecords(text, 53, endpoint, "udp"),
];
const ports = (list: [string, number][]) => ({
  kind: "ports",
  ports: list.map(([protocol, port]) => ({ protocol, port })),
});
const all: [string, number][] = [
  ["tcp", 22],
  ["tcp", 80],
  ["udp", 53],
];

function sorted(found: { kind: string; ports?: readonly { protocol: string; port: number }[] }) {
  return { ...found, ports: found.ports?.toSorted((a, b) => a.port - b.port).toSorted(byProtocol) };
}

function byProtocol(a: { protocol: string }, b: { protocol: string }): number {
  return a.protocol.localeCompare(b.protocol);
}

describe.each([
  ["has the list", ["berth.internal"]],
  ["is too old to have it", undefined],
])("the ports of a name, of a resolver that %s", (_, zones) => {
  test("are all there are, of both protocols", async () => {
    const { stub, resolver } = await startStubBed({ records });
    resolver.zones = zones;
    expect(sorted(await stub.portsOf(name, {}))).toEqual(ports(all));
    expect(stub.status().resolvers).toMatchObject([{ state: "current" }]);
  });

  test("are none where there are none, with the true negative answer", async () => {
    const { stub, resolver } = await startStubBed({ records: [addressRecord(text, "10.0.0.5")] });
    resolver.zones = zones;
    const nodata = { kind: "exists", response: { rcode: 0 } };
    expect(await stub.portsOf(name, {})).toMatchObject({ kind: "none", answer: nodata });
    const absent = { kind: "nxdomain", response: { rcode: 3 } };
    const gone = parseName("gone.berth.internal");
    expect(await stub.portsOf(gone, {})).toMatchObject({ kind: "none", answer: absent });
  });

  test("are asked of the resolver past every cache when they must be fresh", async () => {
    const { stub, resolver } = await startStubBed({ records });
    resolver.zones = zones;
    await stub.portsOf(name, {});
    resolver.records = serviceRecords(text, 8080, endpoint);
    expect(await stub.portsOf(name, { fresh: true })).toEqual(ports([["tcp", 8080]]));
  });

  test("are unknown while nobody answers", async () => {
    const { stub, resolver } = await startStubBed();
    resolver.zones = zones;
    resolver.close();
    expect(await stub.portsOf(name, {})).toMatchObject({ kind: "failed", failure: { kind: "no-answer" } });
  });

  test("need the token that lookups need", async () => {
    const { stub, resolver } = await startStubBed({ records });
    resolver.zones = zones;
    resolver.token = "secret";
    expect(await stub.portsOf(name, {})).toMatchObject({ kind: "failed", failure: { kind: "no-token" } });
  });
});

describe("a list", () => {
  test("is kept for as long as HTTP says, asked for once by all who want it, and may stand in", async () => {
    const { stub, resolver, clock } = await startStubBed({ records });
    resolver.headers = { "cache-control": "max-age=5" };
    await Promise.all(Array.from({ length: 20 }, () => stub.portsOf(name, {})));
    await clock.advance(4_999);
    await stub.portsOf(name, {});
    expect(resolver.paths).toEqual([`/v1/names/${text}`]);
    await clock.advance(1);
    resolver.close();
    expect(sorted(await stub.portsOf(name, {}))).toEqual(ports(all));
  });

  test("is kept for a second when HTTP says nothing", async () => {
    const { stub, resolver, clock } = await startStubBed({ records });
    await stub.portsOf(name, {});
    await clock.advance(999);
    await stub.portsOf(name, {});
    expect(resolver.paths).toHaveLength(1);
    await clock.advance(1);
    await stub.portsOf(name, {});
    expect(resolver.paths).toHaveLength(2);
  });

  test("ends with a change of its name", async () => {
    const { stub, resolver } = await startStubBed({ records, token: "secret" });
    await soon(() => expect(stub.status().feed).toBe("following"));
    resolver.headers = { "cache-control": "max-age=60" };
    await stub.portsOf(name, {});
    const heard = new Promise((resolve) => void stub.onChange(resolve));
    resolver.records = serviceRecords(text, 8080, endpoint);
    resolver.tell([text]);
    await heard;
    expect(await stub.portsOf(name, {})).toEqual(ports([["tcp", 8080]]));
  });
});
