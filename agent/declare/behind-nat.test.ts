import { expect, test } from "vitest";

import type { Address } from "../../shared/address.ts";
import type { Name } from "../../shared/name.ts";
import { containerOf, exposedOf, inputOf, networkOf, portOf, rulesOf, siteOf } from "../testing/builders.ts";
import { declare } from "./declare.ts";
import type { DeclaredService, DeclareInput } from "./input.ts";

// A host that is advertised at an address of a NAT before it: others are led there, and all that it does itself it does at its own.

const [outer, own] = ["203.0.113.7", "192.168.1.5"] as [Address, Address];
const site = { ...siteOf(outer), arrivals: new Map([[outer, own]]) };
const rules = rulesOf();
const declared = (given: Partial<DeclareInput>, ...containers: Parameters<typeof inputOf>[0]) =>
  declare(inputOf(containers, { site, ...given }), rules);

test("a relay listens at the machine's own address, and is declared at the outer one", () => {
  const web = containerOf("web", {
    labels: { "berth.publish": "true" },
    ports: [],
    exposed: exposedOf("80"),
    networks: [networkOf("bridge", "172.17.0.2")],
  });
  const { relays } = declared({}, web);
  expect(relays).toMatchObject([{ listen: [own] }]);
  const open = new Map([[relays[0]?.key ?? "", { kind: "open" as const, port: 20_001 }]]);
  expect(declared({ relays: open }, web).bindings[0]).toMatchObject({ addresses: [outer], port: 20_001 });
});

test("a container in the host's network is asked at the machine's own address", () => {
  const labels = { "berth.port.80": "8080", "berth.check": "tcp" };
  const { checks, bindings } = declared(
    {},
    containerOf("web", { labels, networkMode: "host", ports: [], networks: [] }),
  );
  expect(checks).toMatchObject([{ address: own, port: 8080 }]);
  expect(bindings[0]?.addresses).toEqual([outer]);
});

test("a service of a file is asked at the machine's own address, and declared at the outer one", () => {
  const service = (given: Partial<DeclaredService>): DeclaredService => ({
    ...{ id: "db.toml#1", names: ["db.berth.internal." as Name], protocol: "tcp", servicePort: 5432 },
    ...{ port: 5432, addresses: undefined, tls: false, txt: [], priority: 0, weight: 1 },
    check: { httpPath: undefined, intervalMs: 10_000, timeoutMs: 3_000 },
    ...given,
  });
  for (const addresses of [undefined, [own], [outer]]) {
    const services = [service({ addresses })];
    const { checks, problems } = declared({ services });
    expect(checks).toMatchObject([{ address: own, isOnlyWitness: true }]);
    expect(problems).toEqual([]);
    const healthy = new Map([[checks[0]?.key ?? "", "healthy" as const]]);
    expect(declared({ services, checks: healthy }).bindings[0]?.addresses).toEqual([outer]);
  }
});

test("a port that is published at the machine's own address alone is reached through the outer one", () => {
  const web = containerOf("web", { ports: [portOf(80, { hostIp: own })] });
  const { bindings, problems } = declared({}, web);
  expect(bindings[0]?.addresses).toEqual([outer]);
  expect(problems).toEqual([]);
});

test("what is kept of a container does not outlive the address its relay listens at", () => {
  const web = containerOf("web", {
    labels: { "berth.publish": "80" },
    ports: [],
    networks: [networkOf("bridge", "172.17.0.2")],
  });
  declared({}, web);
  const moved = "192.168.1.99" as Address;
  const { relays } = declared({ site: { ...site, arrivals: new Map([[outer, moved]]) } }, web);
  expect(relays).toMatchObject([{ listen: [moved] }]);
});
