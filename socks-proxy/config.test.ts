import { expect, test } from "vitest";

import { readConfig } from "../shared/config.ts";
import { assertListenIsSafe, proxyOptions } from "./config.ts";

test("nothing needs to be set", () => {
  expect(readConfig(proxyOptions, {}, {})).toEqual({
    listen: { host: "127.0.0.1", port: 1080 },
    resolver: ["https://127.0.0.1:8053"],
    resolverAddress: [],
    tokenFile: undefined,
    zone: undefined,
    outside: "allow",
    rule: [],
    usersFile: undefined,
    handshakeTimeout: 10,
    resolveTimeout: 5,
    connectTimeout: 10,
    idleTimeout: 7440,
    restartPatience: 10,
    connectionsPerClient: 2048,
    connections: 8192,
    drainTimeout: 10,
    page: { host: "127.0.0.1", port: 1081 },
    transparent: false,
    dnsListen: { host: "127.64.0.1", port: 53 },
    transparentRange: "127.64.0.0/10",
    transparentIpv6: "fd62:6572:7468::/64",
    upstreamDns: [],
    stateDir: undefined,
  });
});

test("there need be no idle limit", () => {
  expect(readConfig(proxyOptions, { idleTimeout: "0" }, {}).idleTimeout).toBe(0);
});

test("loopback is listened on by any of its names", () => {
  for (const listen of ["127.0.0.2:0", "[::1]:1080", "localhost:1080", "9050"]) {
    expect(() => assertListenIsSafe(readConfig(proxyOptions, { listen }, {}), "--listen")).not.toThrow();
  }
});

test("listening elsewhere without users is a fault that says why and what to do", () => {
  for (const listen of ["0.0.0.0:1080", "[::]:1080", "10.0.0.5:1080", "proxy.example:1080"]) {
    const config = readConfig(proxyOptions, { listen }, {});
    expect(() => assertListenIsSafe(config, "--proxy-listen")).toThrow(
      /^--proxy-listen .*needs authentication: name a --users-file, or listen on loopback/,
    );
    const withUsers = readConfig(proxyOptions, { listen, usersFile: "/etc/berth/users" }, {});
    expect(() => assertListenIsSafe(withUsers, "--listen")).not.toThrow();
  }
});

test("a listen address that is none says what one looks like, and nothing of loopback", () => {
  expect(() => readConfig(proxyOptions, { listen: "1080:" }, {})).toThrow(/is not host:port/);
});

test("a zone and a policy that are none are faults", () => {
  expect(() => readConfig(proxyOptions, {}, { BERTH_ZONE: "a..b", BERTH_OUTSIDE: "maybe" })).toThrow(
    /--zone .*empty label.*--outside .*allow or deny/,
  );
});

test("several resolvers are given by comma, and a file for the token they want", () => {
  const resolver = "https://a.example, https://b.example/team";
  expect(readConfig(proxyOptions, { resolver, tokenFile: "/etc/berth/reader.token" }, {})).toMatchObject({
    resolver: ["https://a.example", "https://b.example/team"],
    tokenFile: "/etc/berth/reader.token",
  });
});

test("several zones are given by comma, as names; none leaves them to the resolver", () => {
  const zone = "Berth.internal, lab.example.";
  expect(readConfig(proxyOptions, { zone }, {}).zone).toEqual(["berth.internal.", "lab.example."]);
  expect(readConfig(proxyOptions, { zone: " , " }, {}).zone).toBeUndefined();
});

test("rules are told apart by the word they begin with, since their ports have commas", () => {
  const rule = "allow web.berth.internal:80,443,deny 10.0.0.0/8, Deny any";
  expect(readConfig(proxyOptions, { rule }, {}).rule).toEqual([
    "allow web.berth.internal:80,443",
    "deny 10.0.0.0/8",
    "Deny any",
  ]);
});

test("addresses are checked, and DNS servers have port 53 unless they say another", () => {
  const config = readConfig(
    proxyOptions,
    { resolverAddress: "192.0.2.1,2001:DB8::1", upstreamDns: "9.9.9.9,[2001:db8::53]:5353,2001:db8::1" },
    {},
  );
  expect(config.resolverAddress).toEqual(["192.0.2.1", "2001:db8::1"]);
  expect(config.upstreamDns).toEqual([
    { host: "9.9.9.9", port: 53 },
    { host: "2001:db8::53", port: 5353 },
    { host: "2001:db8::1", port: 53 },
  ]);
  for (const upstreamDns of ["dns.example", "9.9.9.9:0", "9.9.9.9:65536"]) {
    expect(() => readConfig(proxyOptions, { upstreamDns }, {})).toThrow(/--upstream-dns .*DNS server/);
  }
  expect(() => readConfig(proxyOptions, { resolverAddress: "a.example" }, {})).toThrow(/not an IP address/);
});

test("the page and the transparent mode's DNS stay on loopback, and the page can be off", () => {
  expect(readConfig(proxyOptions, { page: "off" }, {}).page).toBeUndefined();
  expect(() => readConfig(proxyOptions, { page: "0.0.0.0:1081" }, {})).toThrow(/--page .*not loopback/);
  expect(() => readConfig(proxyOptions, { dnsListen: "0.0.0.0:53" }, {})).toThrow(/--dns-listen .*loopback/);
});

test("counts and patience have bounds", () => {
  expect(readConfig(proxyOptions, { restartPatience: "0", drainTimeout: "0" }, {})).toMatchObject({
    restartPatience: 0,
    drainTimeout: 0,
  });
  expect(() => readConfig(proxyOptions, { connections: "0", connectionsPerClient: "many" }, {})).toThrow(
    /--connections-per-client .*whole number.*--connections .*whole number/,
  );
});
