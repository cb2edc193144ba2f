import { expect, test } from "vitest";

import { readConfig } from "../shared/config.ts";
import { proxyOptions } from "./config.ts";

test("nothing needs to be set", () => {
  expect(readConfig(proxyOptions, {}, {})).toEqual({
    listen: { host: "127.0.0.1", port: 1080 },
    resolver: ["https://127.0.0.1:8053"],
    tokenFile: undefined,
    zone: "berth.internal.",
    outside: "allow",
    handshakeTimeout: 10,
    resolveTimeout: 5,
    connectTimeout: 10,
    idleTimeout: 7200,
  });
});

test("loopback is listened on by any of its names", () => {
  for (const listen of ["127.0.0.2:0", "[::1]:1080", "localhost:1080", "9050"]) {
    expect(() => readConfig(proxyOptions, { listen }, {})).not.toThrow();
  }
});

test("listening elsewhere is a fault that says why and what to do", () => {
  for (const listen of ["0.0.0.0:1080", "[::]:1080", "10.0.0.5:1080", "proxy.example:1080"]) {
    expect(() => readConfig(proxyOptions, { listen }, {})).toThrow(
      /--listen .*needs authentication, which this proxy does not have yet; listen on loopback/,
    );
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
