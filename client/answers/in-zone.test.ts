import { expect, test } from "vitest";

import { RRType } from "../../shared/dns/constants.ts";
import { displayName, parseName } from "../../shared/name.ts";
import { addressRecord, serviceRecords } from "../testing/doh-server.ts";
import { inZoneEndpoints } from "./in-zone.ts";
import type { Answer, Stub } from "./stub.ts";

const zone = parseName("berth.internal");
const sections = { truncated: false, answer: [], authority: [], additional: [] };
const nxdomain: Answer = { kind: "nxdomain", response: { ...sections, rcode: 3 } };

function exists(answer: ReturnType<typeof serviceRecords>): Answer {
  return { kind: "exists", response: { ...sections, rcode: 0, answer } };
}

function endpointsOf(text: string, port: number, ask: Stub) {
  return inZoneEndpoints({ text, port, protocol: "tcp", zone }, ask);
}

test("a container that appears between two queries does not open the way to its host's own port", async () => {
  for (const name of ["web.berth.internal", "web.nas.host.berth.internal", "addr.nas.host.berth.internal"]) {
    const address = exists([addressRecord(name, "10.0.0.9")]);
    const ask: Stub = async (_, type) => (type === RRType.A ? address : nxdomain);
    expect(await endpointsOf(name, 22, ask), name).toMatchObject({ kind: "not-found" });
  }
});

test("only names that lead to a container host are asked for addresses", async () => {
  for (const name of ["nas.host.berth.internal", "v4.addr.nas.host.berth.internal", "ns.berth.internal"]) {
    const asked: string[] = [];
    const ask: Stub = async (owner, type) => {
      asked.push(`${type} ${displayName(owner)}`);
      return type === RRType.A ? exists([addressRecord(name, "10.0.0.9")]) : nxdomain;
    };
    expect(await endpointsOf(name, 22, ask)).toMatchObject({
      kind: "endpoints",
      endpoints: [{ addresses: ["10.0.0.9"], port: 22 }],
    });
    expect(asked.toSorted()).toEqual([`${RRType.A} ${name}`, `${RRType.AAAA} ${name}`]);
  }
});

test("an SRV RR of port 0 leads nowhere", async () => {
  const ask: Stub = async () =>
    exists(serviceRecords("web.berth.internal", 80, [{ address: "10.0.0.5", port: 0 }]));
  expect(await endpointsOf("web.berth.internal", 80, ask)).toMatchObject({ kind: "not-found" });
});
