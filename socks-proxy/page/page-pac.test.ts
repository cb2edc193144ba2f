import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";

import { type Name, parseName } from "../../shared/name.ts";
import { pacScript } from "./page-pac.ts";

const proxy = { listen: { host: "127.0.0.1", port: 1080 }, asksForUsers: false };
const through = "SOCKS5 127.0.0.1:1080; PROXY 127.0.0.1:1080";

/** As a browser asks: in an engine of its own, with nothing around it. */
function wayTo(host: string, zones: string[] = ["berth.internal"], by = proxy): unknown {
  const script = pacScript(zones.map(parseName), by);
  return runInNewContext(`${script}\nFindProxyForURL(url, host)`, { url: `http://${host}/`, host });
}

describe("the automatic configuration", () => {
  test.each([
    "web.berth.internal",
    "web.berth.internal.",
    "WEB.Berth.Internal",
    "a.b.c.berth.internal",
    "berth.internal",
    "berth.internal.",
    "x-1._y.berth.internal",
  ])("sends %s through the proxy", (host) => {
    expect(wayTo(host)).toBe(through);
  });

  test.each([
    "evilberth.internal",
    "berth.internal.example.com",
    "web.berth.internal.example",
    "web.berth-internal",
    "internal",
    "berth",
    "localhost",
    "example.com",
    "10.0.0.1",
    "127.0.0.1",
    "::1",
    "fd00::1",
    "",
    ".",
  ])("leaves %j alone", (host) => {
    expect(wayTo(host)).toBe("DIRECT");
  });

  test("knows several zones, below each other or not, and none", () => {
    const zones = ["a.example.com", "example.com", "b.example"];
    for (const host of ["x.a.example.com", "x.example.com", "b.example"])
      expect(wayTo(host, zones)).toBe(through);
    expect(wayTo("a.example", zones)).toBe("DIRECT");
    expect(wayTo("a.example", [])).toBe("DIRECT");
  });

  test("sends every name through it for the root zone, and no address", () => {
    expect(wayTo("example.com", ["."])).toBe(through);
    expect(wayTo("10.0.0.1", ["."])).toBe("DIRECT");
  });

  test.each([
    ["0.0.0.0", "127.0.0.1:1080"],
    ["::", "[::1]:1080"],
    ["::1", "[::1]:1080"],
    ["192.0.2.1", "192.0.2.1:1080"],
    ["localhost", "localhost:1080"],
  ])("a proxy that listens on %s is found at %s", (host, at) => {
    const listen = { host, port: 1080 };
    expect(wayTo("web.berth.internal", undefined, { ...proxy, listen })).toBe(`SOCKS5 ${at}; PROXY ${at}`);
  });

  test("offers HTTP alone where there are users: no browser has a password for SOCKS5", () => {
    expect(wayTo("web.berth.internal", undefined, { ...proxy, asksForUsers: true })).toBe(
      "PROXY 127.0.0.1:1080",
    );
  });

  test("has no words but its own, whatever a zone is called", () => {
    const zone = `"];alert(1);//</script>\u2028\\.example.` as Name;
    const script = pacScript([zone], proxy);
    expect(script).not.toMatch(/<\/|\u2028/);
    const host = `x.${zone.slice(0, -1)}`;
    expect(runInNewContext(`${script}\nFindProxyForURL("", host)`, { host })).toBe(through);
  });

  test("is a script for old engines", () => {
    expect(pacScript([parseName("berth.internal")], proxy)).not.toMatch(/\b(let|const)\b|=>|`/);
  });
});
