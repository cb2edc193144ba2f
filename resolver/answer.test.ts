import { describe, expect, test } from "vitest";

import { binding } from "./store/contract/builders.ts";
import { ask, askWith, head, noError, nxDomain, servingApp, shown, type } from "./testing/answers.ts";
import { createTestApp, hostId, pushBody } from "./testing/app.ts";

describe("a positive answer", () => {
  test.each([
    ["web.shop", type.A, ["web.shop.berth.internal 5 A 10.0.0.5"]],
    ["web.shop", type.AAAA, ["web.shop.berth.internal 5 AAAA 2001:db8::5"]],
    [
      "_tcp.db",
      type.PTR,
      [
        "_tcp.db.berth.internal 5 PTR _5432._tcp.db.berth.internal",
        "_tcp.db.berth.internal 5 PTR _80._tcp.db.berth.internal",
      ],
    ],
    ["nas.host", type.A, ["nas.host.berth.internal 5 A 10.0.0.5"]],
    ["ns", type.A, ["ns.berth.internal 5 A 192.0.2.53"]],
    ["ns", type.AAAA, ["ns.berth.internal 5 AAAA 2001:db8::53"]],
    ["", type.NS, ["berth.internal 5 NS ns.berth.internal"]],
  ])("for %s type %i", async (name, qtype, records) => {
    const asked = await ask((await servingApp()).app, name, qtype);
    expect(head(asked)).toMatchObject(noError);
    expect(shown(asked.answer.answers).toSorted()).toEqual(records);
    expect(asked.answer.authorities).toEqual([]);
    expect(asked.response.headers.get("cache-control")).toBe("max-age=5");
    expect(asked.response.headers.get("content-type")).toBe("application/dns-message");
  });

  test("of SRV brings the target's addresses along; max-age is the answer's TTL", async () => {
    const asked = await ask((await servingApp()).app, "_80._tcp.web.shop", type.SRV);
    expect(shown(asked.answer.answers)).toEqual([
      '_80._tcp.web.shop.berth.internal 1 SRV {"priority":0,"weight":0,"port":32768,"target":"nas.host.berth.internal"}',
    ]);
    expect(shown(asked.answer.additionals)).toEqual([
      "nas.host.berth.internal 5 A 10.0.0.5",
      "nas.host.berth.internal 5 AAAA 2001:db8::5",
    ]);
    expect(asked.response.headers.get("cache-control")).toBe("max-age=1");
  });

  test("of TXT has the strings as octets, at the name and at the port, and the same every time", async () => {
    const { app, agent } = createTestApp();
    const bindings = [binding("web", { txt: ["path=/", "of=caf\u00e9"] })];
    await agent.send("PUT", `/v1/hosts/${hostId}`, await pushBody({ bindings }));
    for (const owner of ["web", "_80._tcp.web", "web"]) {
      const [record] = (await ask(app, owner, type.TXT)).answer.answers ?? [];
      const strings = ["of=caf\u00e9", "path=/"].map((text) => Buffer.from(text));
      expect(record, owner).toMatchObject({ type: "TXT", ttl: 5, data: strings });
    }
  });

  test("of NS brings the name server's addresses along, and SOA names it", async () => {
    const { app, clock } = await servingApp();
    const ns = await ask(app, "", type.NS);
    expect(shown(ns.answer.additionals)).toEqual([
      "ns.berth.internal 5 A 192.0.2.53",
      "ns.berth.internal 5 AAAA 2001:db8::53",
    ]);
    const [soa] = (await ask(app, "", type.SOA)).answer.answers ?? [];
    expect(soa).toMatchObject({
      type: "SOA",
      ttl: 5,
      data: {
        mname: "ns.berth.internal",
        rname: "hostmaster.berth.internal",
        minimum: 1,
        serial: clock.now / 1000,
      },
    });
  });

  test("to ANY is one RRset, as RFC 8482 allows", async () => {
    const { app } = await servingApp();
    expect(shown((await ask(app, "web.shop", type.ANY)).answer.answers)).toHaveLength(1);
    expect(shown((await ask(app, "_80._tcp.web.shop", type.ANY)).answer.answers)).toHaveLength(1);
  });

  test("counts down with the lease, to the point where nobody may store it", async () => {
    const { app, clock } = await servingApp();
    clock.now += 12_500;
    expect((await ask(app, "web.shop", type.A)).response.headers.get("cache-control")).toBe("max-age=2");
    clock.now += 2000;
    expect((await ask(app, "web.shop", type.A)).response.headers.get("cache-control")).toBe("no-store");
  });
});

describe("a negative answer", () => {
  test.each([
    ["NODATA, another type", "web.shop", type.TXT, noError],
    ["NODATA, HTTPS", "web.shop", type.HTTPS, noError],
    ["NODATA, only IPv4", "db", type.AAAA, noError],
    ["NODATA at the apex", "", type.A, noError],
    ["NODATA at an empty non-terminal", "shop", type.A, noError],
    ["NODATA at the hosts' apex", "host", type.A, noError],
    ["NODATA, ANY at an empty non-terminal", "shop", type.ANY, noError],
    ["NXDOMAIN", "nothing", type.A, nxDomain],
    ["NXDOMAIN below a leaf", "x.web.shop", type.A, nxDomain],
    ["NXDOMAIN for a port that is not there", "_81._tcp.web.shop", type.SRV, nxDomain],
    ["NXDOMAIN for a protocol that is not there", "_udp.web.shop", type.PTR, nxDomain],
    ["NXDOMAIN below the name server", "x.ns", type.A, nxDomain],
  ])("%s carries the SOA, TTL 1", async (_, name, qtype, expected) => {
    const asked = await ask((await servingApp()).app, name, qtype);
    expect(head(asked)).toMatchObject(expected);
    expect(asked.answer.answers).toEqual([]);
    expect(asked.answer.additionals).toEqual([]);
    expect(asked.answer.authorities).toMatchObject([
      { name: "berth.internal", type: "SOA", ttl: 1, data: { minimum: 1 } },
    ]);
    expect(asked.response.headers.get("cache-control")).toBe("max-age=1");
  });

  test.each([
    ["a dot inside a label", ["web.shop"]],
    ["a backslash", ["web\\046shop"]],
    ["non-ASCII octets", ["wéb", "shop"]],
    ["a zero octet", ["web\0", "shop"]],
    ["a space", ["web ", "shop"]],
  ])("is NXDOMAIN for %s: such a name matches nothing", async (_, labels) => {
    const wire = [...labels, "berth", "internal"].flatMap((label) => {
      const octets = Buffer.from(label);
      return [octets.length, ...octets];
    });
    const query = Buffer.concat([
      Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
      Buffer.from([...wire, 0, 0, 1, 0, 1]),
    ]);
    const asked = await askWith((await servingApp()).app, query);
    expect(head(asked)).toMatchObject(nxDomain);
    expect(Buffer.from(asked.bytes.subarray(12, query.length))).toEqual(query.subarray(12));
  });
});
