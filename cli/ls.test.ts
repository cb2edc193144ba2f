import { expect, test } from "vitest";

import { parseAddress } from "../shared/address.ts";
import { parseName } from "../shared/name.ts";
import { problemLines, serviceLines } from "./ls.ts";

const address = (text: string) => [parseAddress(text)].flatMap((parsed) => parsed ?? []);
const name = parseName("web.shop.berth.internal");

test("a name has a line for each of its ports, with every endpoint", () => {
  const endpoint = { hostLabel: "nas", container: "shop-web-1", port: 32768, fixed: false, health: "none" };
  const endpoints = [
    { ...endpoint, addresses: [...address("10.0.0.5"), ...address("fd00::5")] },
    { ...endpoint, hostLabel: "pi", addresses: address("10.0.0.6"), health: "unhealthy" },
  ];
  const services = [{ name, ports: [{ protocol: "tcp" as const, servicePort: 80, endpoints }] }];
  expect(serviceLines({ revision: 1, zone: parseName("berth.internal"), services })).toEqual([
    "web.shop.berth.internal  tcp/80  10.0.0.5:32768,[fd00::5]:32768 on nas; 10.0.0.6:32768 on pi (unhealthy)",
  ]);
});

const endpoint = { hostLabel: "nas", container: "c", port: 1, fixed: false, addresses: address("10.0.0.5") };

test("an endpoint says what it speaks and how it is; one that is not answered says why", () => {
  const endpoints = [
    { ...endpoint, health: "healthy", tls: true as const, txt: ["path=/", "v=a b", "x=\u001b[2J, y"] },
    { ...endpoint, health: "none", tls: true as const },
    { ...endpoint, health: "unhealthy", hidden: "unhealthy" },
    { ...endpoint, health: "starting", hidden: "starting" },
  ];
  const services = [{ name, ports: [{ protocol: "tcp" as const, servicePort: 443, endpoints }] }];
  const lines = serviceLines({ revision: 1, zone: parseName("berth.internal"), services });
  expect(lines.map((line) => line.split("; "))).toEqual([
    [
      'web.shop.berth.internal  tcp/443  10.0.0.5:1 on nas (tls, healthy, path=/, "v=a b", "x=\\u001b[2J, y")',
      "10.0.0.5:1 on nas (tls)",
      "10.0.0.5:1 on nas (hidden: unhealthy)",
      "10.0.0.5:1 on nas (hidden: starting)",
    ],
  ]);
});

test("what a label says cannot command the terminal either", () => {
  const endpoints = [{ ...endpoint, health: "none", txt: ["a=\u009b2J\u202e\u2028"] }];
  const services = [{ name, ports: [{ protocol: "tcp" as const, servicePort: 80, endpoints }] }];
  const [line = ""] = serviceLines({ revision: 1, zone: parseName("berth.internal"), services });
  expect(line).toContain('"a=?2J??"');
});

test("without names there is a sentence", () => {
  const lines = serviceLines({ revision: 0, zone: parseName("berth.internal"), services: [] });
  expect(lines).toEqual(["no names in berth.internal yet"]);
});

test("a problem cannot command the terminal it is shown on", () => {
  const host = {
    hostId: "a".repeat(52),
    declaredLabel: "nas",
    hostLabel: "nas",
    addresses: address("10.0.0.5"),
    local: false,
    epoch: 1,
    digest: "",
    owner: "operator",
    tokenId: "bootstrap-agent",
    lease: 15,
    leaseRemaining: 10,
    bindings: 0,
    problems: [{ container: "web\u001b[2J", code: "bad-label", message: "berth.name=\u001b]0;owned\u0007" }],
    refused: [{ name, code: "held" as const, message: "held by pi" }],
  };
  expect(problemLines({ revision: 1, hosts: [host] })).toEqual([
    "nas  web?[2J  bad-label: berth.name=?]0;owned?",
    "nas  web.shop.berth.internal  held: held by pi",
  ]);
});
