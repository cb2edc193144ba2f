import { describe, expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import type { Binding } from "../../shared/binding.ts";
import { type Name, nameBelow } from "../../shared/name.ts";
import { bootstrapAccess } from "../access.ts";
import type { HostRecord } from "../records.ts";
import { binding, ip, zone } from "../store/contract/builders.ts";
import { createMemoryTables } from "../store/memory-tables.ts";
import { addressParts } from "./compile.ts";
import { createZone } from "./compiled-zone.ts";

const rules = { zone, ttl: 5, ephemeralTtl: 1 };
const at = (owner: string): string => nameBelow(owner, zone);

function hostRecord(
  letter: string,
  hostLabel: string,
  addresses: Address[],
  bindings: Binding[],
): HostRecord {
  const { tokenId, owner, scope } = bootstrapAccess("agent");
  const said = { declaredLabel: hostLabel, hostLabel, addresses, parts: addressParts(addresses, bindings) };
  const held = { epoch: 1, digest: "", lease: 15, grantsRevision: 0, local: false, problems: [] };
  return { hostId: letter.repeat(52), ...said, ...held, bindings: bindings.length, tokenId, owner, scope };
}

/** Tables with one host `nas` that declares `bindings`, and the zone over them. */
function zoneWith(bindings: Binding[], addresses = ["10.0.0.5", "2001:db8::5"].map(ip)) {
  const tables = createMemoryTables();
  const host = hostRecord("a", "nas", addresses, bindings);
  tables.putHost(host);
  for (const [name, group] of Map.groupBy(bindings, (one) => one.name))
    tables.putClaim({ hostId: host.hostId, name, since: 1, bindings: group });
  return { tables, host, zone: createZone(tables, rules) };
}

/** How often the zone looks a name up in the tables. */
function countLookups(tables: ReturnType<typeof createMemoryTables>) {
  const asked: Name[] = [];
  const counted = {
    ...tables,
    claimsOfName: (name: Name) => {
      asked.push(name);
      return tables.claimsOfName(name);
    },
  };
  return { zone: createZone(counted, rules), asked };
}

describe("an owner name", () => {
  test.each([
    ["web.shop", "a granted name"],
    ["_tcp.web.shop", "its list of ports"],
    ["_80._tcp.web.shop", "one of its ports"],
    ["nas.host", "a host"],
    ["v4.addr.nas.host", "a part of a host's addresses"],
  ])("%s is found as %s", (owner) => {
    const { zone } = zoneWith([binding("web.shop")]);
    expect(zone.entry(at(owner))?.owner).toBe(at(owner));
  });

  test.each([
    "shop",
    "x.web.shop",
    "_81._tcp.web.shop",
    "_80._udp.web.shop",
    "_x._80._tcp.web.shop",
    "_tcp.nas.host",
    "v6.addr.nas.host",
    "v4.addr.pi.host",
    "x.v4.addr.nas.host",
    "host",
    // One label with a dot in it, as the codec writes it.
    "_80\\._tcp.web.shop",
    "web\\.shop",
  ])("%s has no entry", (owner) => {
    const { zone } = zoneWith([binding("web.shop")]);
    expect(zone.entry(at(owner))).toBeUndefined();
    const isBetween = owner === "shop" || owner === "host";
    expect(zone.hasBelow(at(owner)), "below").toBe(isBetween);
  });

  test("exists between others exactly while something stands below it", () => {
    const { tables, host, zone } = zoneWith([binding("web.shop")]);
    for (const owner of ["shop", "host", "addr.nas.host"]) expect(zone.hasBelow(at(owner)), owner).toBe(true);
    expect(zone.hasBelow(at("addr.pi.host"))).toBe(false);
    tables.deleteClaim(host.hostId, at("web.shop") as Name);
    tables.putHost({ ...host, parts: [] });
    zone.forget([{ name: at("web.shop") as Name }, { hostLabel: "nas" }]);
    expect(zone.hasBelow(at("shop"))).toBe(false);
    expect(zone.hasBelow(at("addr.nas.host"))).toBe(false);
    expect(zone.hasBelow(at("host"))).toBe(true);
    tables.deleteHost(host.hostId);
    expect(zone.hasBelow(at("host"))).toBe(false);
  });

  test("that was refused does not exist, nor does what would lead to it", () => {
    const { tables, host, zone } = zoneWith([]);
    const name = at("web.shop") as Name;
    const refusal = { name, code: "held", message: "it is held" } as const;
    tables.putClaim({ hostId: host.hostId, name, since: 1, bindings: [binding("web.shop")], refusal });
    for (const owner of ["web.shop", "_80._tcp.web.shop", "shop"]) {
      expect(zone.entry(at(owner)), owner).toBeUndefined();
      expect(zone.hasBelow(at(owner)), owner).toBe(false);
    }
  });
});

describe("what was compiled", () => {
  test("stays until it is forgotten, other names with it", () => {
    const { tables, host } = zoneWith([binding("web"), binding("db")]);
    const { zone, asked } = countLookups(tables);
    for (const owner of ["web", "_80._tcp.web", "web", "db"]) zone.entry(at(owner));
    expect(asked).toEqual([at("web"), at("db")]);
    const moved = { hostId: host.hostId, name: at("web") as Name, since: 1 };
    tables.putClaim({ ...moved, bindings: [binding("web", { port: 9 })] });
    zone.forget([{ name: moved.name }]);
    expect(zone.entry(at("_80._tcp.web"))?.rrsets[0]?.rdata[0]).toMatchObject({ port: 9 });
    zone.entry(at("db"));
    expect(asked).toEqual([at("web"), at("db"), at("web")]);
    zone.forgetAll();
    zone.entry(at("db"));
    expect(asked).toHaveLength(4);
  });

  test("is bounded: the oldest of more than 10,000 names is compiled again, the others are not", () => {
    const bindings = Array.from({ length: 10_001 }, (_, index) => binding(`s${index}`));
    const { zone, asked } = countLookups(zoneWith(bindings).tables);
    for (const { name } of bindings) zone.entry(name);
    zone.entry(at("s1"));
    expect(asked).toHaveLength(10_001);
    zone.entry(at("s0"));
    expect(asked).toHaveLength(10_002);
  });

  test("is not pushed out by questions for names that are not there", () => {
    const { zone, asked } = countLookups(zoneWith([binding("web")]).tables);
    zone.entry(at("web"));
    for (let index = 0; index < 10_001; index++) zone.entry(at(`x${index}`));
    asked.length = 0;
    zone.entry(at("web"));
    zone.entry(at("x10000"));
    expect(asked).toEqual([]);
  });
});

test("entries of one source come sorted by owner", () => {
  const { zone } = zoneWith([
    binding("web", { servicePort: 90 }),
    binding("web"),
    binding("web", { at: ["2001:db8::5"] }),
  ]);
  const owners = zone.entriesOf({ name: at("web") as Name }).map((entry) => entry.owner);
  expect(owners).toEqual(["_80._tcp.web", "_90._tcp.web", "_tcp.web", "web"].map(at));
  const parts = zone.entriesOf({ hostLabel: "nas" }).map((entry) => entry.owner);
  expect(parts).toEqual(["nas.host", "v4.addr.nas.host", "v6.addr.nas.host"].map(at));
});
