import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { Rcode } from "../shared/dns/constants.ts";
import { parseName } from "../shared/name.ts";
import { ResolverChoice } from "../shared/resolver-choice.ts";
import { endpointsFor, type Resolvers } from "./destination.ts";
import type { Resolution } from "./resolution.ts";
import {
  addressOf,
  addressRecord,
  serviceRecords,
  startResolver,
  type TestResolver,
} from "./testing/doh-server.ts";

let resolver: TestResolver;
let lookedUp: string[];

beforeEach(async () => {
  lookedUp = [];
  resolver = await startResolver([
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
  ]);
});

afterEach(() => resolver.close());

describe("a name of the zone with services", () => {
  test("leads to the endpoint of the SRV RR, with one query", async () => {
    const endpoint = { addresses: ["10.0.0.5"], port: 32768, priority: 1, weight: 2 };
    expect(await resolve("WEB.Shop.berth.internal.", 80)).toEqual({
      kind: "endpoints",
      endpoints: [endpoint],
    });
    expect(resolver.queries).toEqual(["SRV _80._tcp.web.shop.berth.internal"]);
  });

  test("is not reachable at other ports, and says which there are", async () => {
    expect(await resolve("web.shop.berth.internal", 22)).toEqual({
      kind: "port-not-published",
      published: [80, 443],
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
    const resolvers = resolversWith();
    const { fetch: ask } = resolvers.doh;
    let queries = 0;
    // The first query is the one for AAAA.
    resolvers.doh.fetch = (input, init) =>
      ++queries === 1 ? Promise.reject(new Error("lost")) : ask(input, init);
    expect(await resolveWith(resolvers, "nas.host.berth.internal", 22)).toEqual(only);
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
      expect(await resolve("plain.berth.internal", 22)).toMatchObject({ kind: "no-answer" });
    }
  });

  test("silence ends with the signal", async () => {
    resolver.faults.set("_80._tcp.web.shop.berth.internal", "silence");
    const found = resolveWith(resolversWith(), "web.shop.berth.internal", 80, AbortSignal.timeout(50));
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
    expect(lookedUp).toEqual([]);
  });
});

describe("destinations outside the zone", () => {
  test("names are the system's, in its order", async () => {
    expect(await resolve("two.example", 443)).toEqual({
      kind: "endpoints",
      endpoints: [{ addresses: ["192.0.2.2", "192.0.2.1"], port: 443, priority: 0, weight: 0 }],
    });
    expect(resolver.queries).toEqual([]);
  });

  test("a name that only ends like the zone is outside it", async () => {
    await resolve("notberth.internal", 80);
    await resolve("xberth.internal.", 80);
    expect(lookedUp).toEqual(["notberth.internal", "xberth.internal."]);
  });

  test("the system's outcomes are told apart", async () => {
    expect(await resolve("absent.example", 80)).toMatchObject({ kind: "not-found" });
    expect(await resolve("broken.example", 80)).toMatchObject({ kind: "no-answer" });
    expect(await resolve("nul.example\u0000.berth", 80)).toMatchObject({ kind: "bad-name" });
  });

  test("a system that does not answer is left alone when the time is over", async () => {
    const found = resolveWith(resolversWith(), "silent.example", 80, AbortSignal.timeout(30));
    expect(await found).toMatchObject({ kind: "no-answer" });
  });

  test("an address is its own endpoint", async () => {
    const destination = { kind: "address", address: addressOf("::1"), port: 80 } as const;
    const found = await endpointsFor(destination, resolversWith(), new AbortController().signal);
    const endpoint = { addresses: ["::1"], port: 80, priority: 0, weight: 0 };
    expect(found).toEqual({ kind: "endpoints", endpoints: [endpoint] });
  });

  test("are denied by policy, names and addresses, and nobody is asked", async () => {
    const resolvers = { ...resolversWith(), outside: "deny" as const };
    const { signal } = new AbortController();
    const address = { kind: "address", address: addressOf("10.0.0.5"), port: 80 } as const;
    expect(await endpointsFor(address, resolvers, signal)).toEqual({ kind: "not-allowed" });
    expect(await resolveWith(resolvers, "two.example", 80)).toEqual({ kind: "not-allowed" });
    expect(await resolveWith(resolvers, "web.shop.berth.internal", 80)).toMatchObject({ kind: "endpoints" });
    expect(lookedUp).toEqual([]);
  });
});

function resolve(name: string, port: number): Promise<Resolution> {
  return resolveWith(resolversWith(), name, port);
}

function resolveWith(
  resolvers: Resolvers,
  name: string,
  port: number,
  signal = new AbortController().signal,
): Promise<Resolution> {
  return endpointsFor({ kind: "name", name, port }, resolvers, signal);
}

function resolversWith(): Resolvers {
  return {
    zone: parseName("berth.internal"),
    doh: { fetch, choice: new ResolverChoice([`${resolver.url}/dns-query`]), timeoutMs: 5000, now: () => 0 },
    outside: "allow",
    async lookup(name) {
      lookedUp.push(name);
      if (name === "two.example") return [addressOf("192.0.2.2"), addressOf("192.0.2.1")];
      if (name === "silent.example") return new Promise(() => {});
      const code = name === "broken.example" ? "EAI_AGAIN" : "ENOTFOUND";
      throw Object.assign(new Error(`getaddrinfo ${code} ${name}`), { code });
    },
  };
}
