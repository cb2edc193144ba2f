import { expect, test } from "vitest";

import { parseAddress } from "../address.ts";
import { parseName } from "../name.ts";
import { RRType } from "./constants.ts";
import {
  addressesFromAnswer,
  addressRdata,
  endpointsFromAnswer,
  portListOwner,
  serviceOwner,
  servicePortsFromAnswer,
} from "./endpoints.ts";
import type { Response, RR } from "./message.ts";

const name = parseName("web.test");

function address(owner: string, text: string): RR {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new Error(`the test says ${text} is an address`);
  return { name: parseName(owner), ttl: 5, rdata: addressRdata(parsed) };
}

function srv(target: string, port: number, priority = 0, weight = 0): RR {
  return { name, ttl: 5, rdata: { type: RRType.SRV, priority, weight, port, target: parseName(target) } };
}

function ptr(target: string): RR {
  return { name, ttl: 5, rdata: { type: RRType.PTR, target: parseName(target) } };
}

function response(answer: RR[], additional: RR[] = []): Response {
  return { rcode: 0, truncated: false, answer, authority: [], additional };
}

test("owner names of ports", () => {
  expect(serviceOwner(name, "tcp", 80)).toBe("_80._tcp.web.test.");
  expect(portListOwner(name, "udp")).toBe("_udp.web.test.");
});

test("an address has the RR type of its family", () => {
  expect(address("a", "10.0.0.5").rdata.type).toBe(RRType.A);
  expect(address("a", "2001:db8::5").rdata.type).toBe(RRType.AAAA);
});

test.each([
  [
    "the addresses of the target, at the port of the SRV RR",
    response(
      [srv("nas.test", 80, 1, 2)],
      [address("nas.test", "10.0.0.5"), address("nas.test", "2001:db8::5")],
    ),
    ["10.0.0.5 2001:db8::5, port 80, 1 2"],
    [],
  ],
  [
    "two targets, each with its own addresses",
    response(
      [srv("a.test", 1), srv("b.test", 2)],
      [address("b.test", "10.0.0.2"), address("a.test", "10.0.0.1")],
    ),
    ["10.0.0.1, port 1, 0 0", "10.0.0.2, port 2, 0 0"],
    [],
  ],
  [
    "addresses that came in the answer section",
    response([srv("a.test", 1), address("a.test", "10.0.0.1")]),
    ["10.0.0.1, port 1, 0 0"],
    [],
  ],
  [
    "an address said twice, once",
    response([srv("a.test", 1)], [address("a.test", "10.0.0.1"), address("a.test", "10.0.0.1")]),
    ["10.0.0.1, port 1, 0 0"],
    [],
  ],
  [
    "what came without addresses, to ask for",
    response([srv("a.test", 1), srv("a.test", 2)], [address("b.test", "10.0.0.2")]),
    [],
    ["a.test."],
  ],
  ["nothing at the target '.'", response([srv(".", 1)]), [], []],
  ["nothing at port 0", response([srv("a.test", 0)], [address("a.test", "10.0.0.1")]), [], []],
  ["nothing of no answer", response([]), [], []],
])("endpoints: %s", (_, answer, endpoints, unresolved) => {
  const found = endpointsFromAnswer(answer);
  const shown = found.endpoints.map(
    (at) => `${at.addresses.join(" ")}, port ${at.port}, ${at.priority} ${at.weight}`,
  );
  expect(shown).toEqual(endpoints);
  expect(found.unresolved).toEqual(unresolved);
});

test("1,400 SRV RRs to one target of 1,400 addresses are 1,400 endpoints that share one list", () => {
  const ports = Array.from({ length: 1_400 }, (_, i) => i + 1);
  const services = ports.map((port) => srv("a.test", port));
  const addresses = ports.map((i) => address("a.test", `10.0.${i >> 8}.${i & 255}`));
  const { endpoints } = endpointsFromAnswer(response(services, addresses));
  expect(endpoints).toHaveLength(1_400);
  expect(endpoints[0]?.addresses).toHaveLength(1_400);
  expect(new Set(endpoints.map((endpoint) => endpoint.addresses)).size).toBe(1);
});

test("addresses are the answer's, not what else came along", () => {
  const answer = [address("web.test", "10.0.0.5"), address("web.test", "::1"), srv("x.test", 1)];
  expect(addressesFromAnswer(response(answer, [address("x.test", "10.0.0.9")]))).toEqual(["10.0.0.5", "::1"]);
});

test("service ports are the numbers of the PTR targets, ascending; other targets are skipped", () => {
  const answer = [
    ptr("_443._tcp.web.test"),
    ptr("_80._tcp.web.test"),
    ptr("_http._tcp.web.test"),
    ptr("80.test"),
  ];
  expect(servicePortsFromAnswer(response(answer))).toEqual([80, 443]);
});
