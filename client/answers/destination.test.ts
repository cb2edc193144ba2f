import { beforeEach, describe, expect, test } from "vitest";

import { Rcode, RRType } from "../../shared/dns/constants.ts";
import { parseName } from "../../shared/name.ts";
import { addressOf, addressRecord, serviceRecords, type TestResolver } from "../testing/doh-server.ts";
import { type StubBed, startStubBed } from "../testing/stub-bed.ts";
import { zoneOfText } from "./destination.ts";
import type { Resolution } from "./resolution.ts";

let bed: StubBed;
let resolver: TestResolver;

beforeEach(async () => {
  const records = [
    ...serviceRecords("web.shop.berth.internal", 80, [
      { address: "10.0.0.5", port: 32768, priority: 1, weight: 2 },
    ]),
    ...serviceRecords("web.shop.berth.internal", 443, [{ address: "10.0.0.5", port: 32769 }]),
    addressRecord("web.shop.berth.internal", "10.0.0.5"),
    ...serviceRecords("syslog.berth.internal", 514, [{ address: "10.0.0.5", port: 514 }], "udp"),
    addressRecord("syslog.berth.internal", "10.0.0.5"),
    addressRecord("plain.berth.internal", "10.0.0.5"),
    addressRecord("nas.host.berth.internal", "10.0.0.9"),
    addressRecord("nas.host.berth.internal", "2001:db8::9"),
  ];
  bed = await startStubBed({ records });
  ({ resolver } = bed);
});

describe("a name of the zone with services", () => {
  test("leads to the endpoint of the SRV RR, with one query", async () => {
    const endpoint = { addresses: ["10.0.0.5"], port: 32768, priority: 1, weight: 2 };
    expect(await resolve("WEB.Shop.berth.internal.", 80)).toEqual({
      kind: "endpoints",
      endpoints: [endpoint],
      inZone: true,
    });
    expect(resolver.queries).toEqual(["SRV _80._tcp.web.shop.berth.internal"]);
  });

  test("is not reachable at other ports, and says which there are", async () => {
    expect(await resolve("web.shop.berth.internal", 22)).toEqual({
      kind: "port-not-published",
      published: [80, 443],
    });
  });

  test("is reached over UDP where it is asked for UDP, and nowhere else", async () => {
    expect(await bed.resolve("syslog.berth.internal", 514, { protocol: "udp" })).toMatchObject({
      kind: "endpoints",
      endpoints: [{ port: 514 }],
    });
    expect(await bed.resolve("syslog.berth.internal", 53, { protocol: "udp" })).toEqual({
      kind: "port-not-published",
      published: [514],
    });
    expect(await bed.resolve("web.shop.berth.internal", 80, { protocol: "udp" })).toEqual({
      kind: "port-not-published",
      published: [],
    });
  });

  test("of UDP only has no TCP port at all", async () => {
    expect(await resolve("syslog.berth.internal", 514)).toEqual({
      kind: "port-not-published",
      published: [],
    });
  });

  test("is resolved by further queries when the answer left the addresses out", async () => {
    resolver.bare = true;
    const found = await resolve("web.shop.berth.internal", 80);
    expect(found).toMatchObject({
      kind: "endpoints",
      endpoints: [{ addresses: ["10.0.0.5"], port: 32768, weight: 2 }],
    });
    expect(resolver.queries).toHaveLength(3);
  });

  test("whose targets have no address is not found", async () => {
    resolver.records = resolver.records.filter(({ name }) => !name.startsWith("host-10-0-0-5x."));
    expect(await resolve("web.shop.berth.internal", 80)).toMatchObject({ kind: "not-found" });
  });
});

describe("a name of the zone without services", () => {
  test("is not found, whatever addresses it has, and nobody asks for them", async () => {
    for (const name of ["nobody", "shop", "plain"]) {
      const reason = expect.stringContaining("NXDOMAIN");
      expect(await resolve(`${name}.berth.internal`, 22)).toEqual({ kind: "not-found", reason });
    }
    expect(resolver.queries.filter((query) => query.startsWith("A"))).toEqual([]);
  });
});

describe("a container host's own name", () => {
  test("is reached at its addresses and the port asked for, IPv6 first, with no other query", async () => {
    expect(await resolve("NAS.host.berth.internal.", 22)).toEqual({
      kind: "endpoints",
      endpoints: [{ addresses: ["2001:db8::9", "10.0.0.9"], port: 22, priority: 0, weight: 0 }],
      inZone: true,
    });
    expect(resolver.queries.toSorted()).toEqual([
      "A nas.host.berth.internal",
      "AAAA nas.host.berth.internal",
    ]);
  });

  test("that does not exist, or has no address, is not found", async () => {
    const nxdomain = { kind: "not-found", reason: expect.stringContaining("NXDOMAIN") };
    expect(await resolve("other.host.berth.internal", 80)).toEqual(nxdomain);
    resolver.records = [addressRecord("v4.addr.nas.host.berth.internal", "10.0.0.9")];
    const nodata = { kind: "not-found", reason: expect.stringContaining("NODATA") };
    expect(await resolve("nas.host.berth.internal", 80)).toEqual(nodata);
  });

  test("is reached by one family when the question for the other failed", async () => {
    const only = { kind: "endpoints", endpoints: [expect.objectContaining({ addresses: ["10.0.0.9"] })] };
    resolver.failTypes.add(RRType.AAAA);
    expect(await resolve("nas.host.berth.internal", 22)).toMatchObject(only);
  });
});

describe("a resolver that does not answer well", () => {
  test.each([
    ["SERVFAIL", Rcode.ServFail],
    ["REFUSED", Rcode.Refused],
    ["NOTIMP", Rcode.NotImp],
  ])("%s is no answer, and is named", async (name, rcode) => {
    resolver.faults.set("_80._tcp.web.shop.berth.internal", rcode);
    const reason = expect.stringContaining(`${name} for _80._tcp.web.shop.berth.internal`);
    expect(await resolve("web.shop.berth.internal", 80)).toEqual({ kind: "no-answer", reason });
  });

  test("a failed port list is no answer, not an absent one", async () => {
    for (const owner of ["_tcp.plain.berth.internal", "_udp.plain.berth.internal"]) {
      resolver.faults = new Map([[owner, Rcode.ServFail]]);
      await bed.clock.advance(10_000);
      expect(await resolve("plain.berth.internal", 22)).toMatchObject({ kind: "no-answer" });
    }
  });

  test("silence ends with the signal", async () => {
    resolver.faults.set("_80._tcp.web.shop.berth.internal", "silence");
    const found = bed.resolve("web.shop.berth.internal", 80, { signal: AbortSignal.timeout(50) });
    expect(await found).toMatchObject({ kind: "no-answer" });
  });

  test("nobody listening is no answer", async () => {
    resolver.close();
    expect(await resolve("web.shop.berth.internal", 80)).toMatchObject({ kind: "no-answer" });
  });
});

describe("names no zone can have", () => {
  test.each([
    "web..berth.internal",
    "we b.berth.internal",
    "-web.berth.internal",
    "web.berth.internal..",
    "_80._tcp.web.shop.berth.internal",
    "w\u0000.berth.internal",
    `${"a".repeat(64)}.berth.internal`,
    `${"a.".repeat(119)}berth.internal`,
    // Full-width dots and letters, which UTS 46 maps to ASCII ones; broken UTF-8.
    "web\u3002berth\u3002internal",
    "web.\uff42erth.internal",
    "caf\u00e9.example",
    "\ufffd.example",
  ])("%j is a bad name that nobody is asked about", async (name) => {
    expect(await resolve(name, 80)).toMatchObject({ kind: "bad-name" });
    expect(resolver.queries).toEqual([]);
    expect(bed.lookedUp).toEqual([]);
  });
});

describe("destinations outside the zone", () => {
  test("names are the system's, in its order", async () => {
    expect(await resolve("two.example", 443)).toEqual({
      kind: "endpoints",
      endpoints: [{ addresses: ["192.0.2.2", "192.0.2.1"], port: 443, priority: 0, weight: 0 }],
      inZone: false,
    });
    expect(resolver.queries).toEqual([]);
  });

  test("a name that only ends like the zone is outside it", async () => {
    await resolve("notberth.internal", 80);
    await resolve("xberth.internal.", 80);
    expect(bed.lookedUp).toEqual(["notberth.internal", "xberth.internal."]);
  });

  test("the system's outcomes are told apart", async () => {
    expect(await resolve("absent.example", 80)).toMatchObject({ kind: "not-found" });
    expect(await resolve("broken.example", 80)).toMatchObject({ kind: "no-answer" });
    expect(await resolve("nul.example\u0000.berth", 80)).toMatchObject({ kind: "bad-name" });
  });

  test("the system is not asked for what is longer than a name, nor is that remembered", async () => {
    expect(await resolve(`${"a.".repeat(124)}exam.`, 80)).not.toMatchObject({ kind: "bad-name" });
    expect(await resolve(`${"a.".repeat(125)}exam.`, 80)).toMatchObject({ kind: "bad-name" });
    expect(bed.lookedUp).toHaveLength(1);
  });

  test("a name is asked of the system once for a moment, and past that when it is to be fresh", async () => {
    const all = await Promise.all([443, 80, 443].map((port) => resolve("two.example", port)));
    expect(all.map(({ kind }) => kind)).toEqual(["endpoints", "endpoints", "endpoints"]);
    expect(await resolve("two.example", 22)).toMatchObject({ endpoints: [{ port: 22 }] });
    expect(bed.lookedUp).toEqual(["two.example"]);
    await bed.resolve("two.example", 443, { fresh: true });
    expect(bed.lookedUp).toEqual(["two.example", "two.example"]);
  });

  test("a system that does not answer is left alone when the time is over", async () => {
    const found = bed.resolve("silent.example", 80, { signal: AbortSignal.timeout(30) });
    expect(await found).toMatchObject({ kind: "no-answer" });
  });

  test("an address is its own endpoint, at once", () => {
    const destination = { kind: "address", address: addressOf("::1"), port: 80 } as const;
    const endpoint = { addresses: ["::1"], port: 80, priority: 0, weight: 0 };
    expect(bed.stub.resolveCached(destination)).toEqual({
      kind: "endpoints",
      endpoints: [endpoint],
      inZone: false,
    });
  });
});

test("a name is of the deepest zone it is written in", () => {
  const zones = [parseName("berth.internal"), parseName("lab.berth.internal"), parseName("shop.example")];
  const zoneOf = (text: string) => zoneOfText(text, zones);
  expect(zoneOf("web.LAB.berth.internal.")).toBe("lab.berth.internal.");
  expect(zoneOf("web.berth.internal")).toBe("berth.internal.");
  expect(zoneOf("shop.example")).toBe("shop.example.");
  expect(zoneOf("workshop.example")).toBeUndefined();
});

function resolve(name: string, port: number): Promise<Resolution> {
  return bed.resolve(name, port);
}
