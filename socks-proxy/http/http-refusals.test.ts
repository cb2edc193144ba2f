import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { closedPort } from "../../client/testing/closed-port.ts";
import { serviceRecords } from "../../client/testing/doh-server.ts";
import { Rcode } from "../../shared/dns/constants.ts";
import { anotherHttpBed, type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { echoIn, echoSite, fieldsOf, get, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(() => bed.close());

describe("a request that leads nowhere is told why", () => {
  test("an unknown name: 502", async () => {
    expect(await bed.sent(get("http://nosuch.berth.internal/"))).toMatch(
      /^HTTP\/1\.1 502 .*Content-Type: text\/plain; charset=utf-8\r\n.*nosuch\.berth\.internal:80: nothing is published under this name/s,
    );
  });

  test("a port that is not published: 502, with the ports there are", async () => {
    bed.resolver.records.push(...serviceRecords(web, 8080, [{ address: "127.0.0.1", port: 9 }]));
    expect(await bed.sent(get(`http://${web}:81/`))).toMatch(/^HTTP\/1\.1 502 .*it publishes 8080\n$/s);
  });

  test("nobody listens: 502", async () => {
    bed = await anotherHttpBed(bed, { restartPatience: 0 });
    bed.resolver.records.push(
      ...serviceRecords(web, 80, [{ address: "127.0.0.1", port: await closedPort() }]),
    );
    expect(await bed.sent(get(`http://${web}/`))).toMatch(/^HTTP\/1\.1 502 .*ECONNREFUSED/s);
  });

  test("no resolver answers: 503, to be tried again", async () => {
    bed.resolver.faults.set(`_80._tcp.${web}`, Rcode.ServFail);
    expect(await bed.sent(get(`http://${web}/`))).toMatch(/^HTTP\/1\.1 503 .*Retry-After: 1\r\n/s);
  });

  test("the policy: 403, with its rule", async () => {
    bed = await anotherHttpBed(bed, { rule: ["deny any:81", "deny private"], outside: "deny" });
    expect(await bed.sent(get(`http://${web}:81/`))).toMatch(
      /^HTTP\/1\.1 403 .*denied by rule 1, "deny any:81"/s,
    );
    expect(await bed.sent(get("http://10.0.0.1/"))).toMatch(/^HTTP\/1\.1 403 .*rule 2/s);
    expect(await bed.sent(get("http://example.com/"))).toMatch(/^HTTP\/1\.1 403 .*outside the zones/s);
    expect(await bed.sent("CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n")).toMatch(/^HTTP\/1\.1 403 /);
  });

  test.each(["2130706433", "0x7f.1", "017700000001", "127.1"])(
    "http://%s/, which the system takes for loopback: 403",
    async (host) => {
      expect(await bed.sent(get(`http://${host}:${await closedPort()}/`))).toMatch(/^HTTP\/1\.1 (403|502) /);
      expect(bed.lines.join("\n")).not.toMatch(/ECONNREFUSED/);
    },
  );

  test.each([
    ["origin-form", get("/"), /400 .*this is a proxy, not a web site/s],
    ["another scheme", get("ftp://a/"), /400 .*http:\/\/ and CONNECT only/s],
    ["https", get("https://a/"), /400 .*CONNECT host:443/s],
    ["a password in the URL", get("http://u:secret@a/"), /400 .*belong into fields/s],
    ["no host", get("http:///"), /400 .*no host and port/s],
    ["a port too high", get("http://a:65536/"), /400 .*no host and port/s],
    ["CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", /400 .*CONNECT takes host:port/s],
    ["CONNECT with a URL", "CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", /400 .*CONNECT takes host:port/s],
    ["a bad name of the zone", get("http://a_b.berth.internal/"), /400 /],
    ["no HTTP", "HELLO\r\n\r\n", /400 /],
    ["no Host in HTTP/1.1", `GET http://${web}/ HTTP/1.1\r\n\r\n`, /400 /],
    ["a space in the target", "GET http://a b/ HTTP/1.1\r\nHost: a\r\n\r\n", /400 /],
    ["too long a head", `GET http://${web}/ HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`, /431 /],
    [
      "a length and chunks",
      `POST http://${web}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      /400 /,
    ],
    [
      "chunks and a length",
      `POST http://${web}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
      /400 /,
    ],
    [
      "two lengths",
      `POST http://${web}/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
      /400 /,
    ],
    [
      "another coding",
      `POST http://${web}/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
      /400 /,
    ],
    ["two hosts", `GET http://${web}/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`, /400 /],
    ["a bare line feed", `GET http://${web}/ HTTP/1.1\nHost: a\n\n`, /400 /],
    [
      "a space before the colon",
      `GET http://${web}/ HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc`,
      /400 /,
    ],
  ])("%s", async (_, octets, wanted) => {
    await echoSite(bed);
    const client = await bed.client();
    client.socket.write(octets);
    await client.until(new RegExp(`^HTTP/1\\.1 ${wanted.source}`, "s"));
    expect(client.text()).not.toMatch(/secret/);
    expect(bed.lines.join("\n")).not.toMatch(/secret/);
  });

  test("a coding in disguise", async () => {
    const site = await echoSite(bed);
    const fields = "Host: a\r\nTransfer-Encoding: xchunked\r\n";
    expect(await bed.sent(`POST http://${web}/ HTTP/1.1\r\n${fields}\r\n0\r\n\r\n`)).not.toMatch(/ 200 /);
    expect(site.connections).toEqual([]);
  });

  test("the proxy itself: 400", async () => {
    for (const octets of [
      get(`http://127.0.0.1:${bed.port}/`),
      `CONNECT 127.0.0.1:${bed.port} HTTP/1.1\r\nHost: x\r\n\r\n`,
    ]) {
      expect(await bed.sent(octets)).toMatch(/^HTTP\/1\.1 400 .*this is the proxy itself/s);
    }
  });

  test("a request that goes in a circle: 508", async () => {
    bed.resolver.records.push(
      ...serviceRecords("loop.berth.internal", 80, [{ address: "127.0.0.1", port: bed.port }]),
    );
    await echoSite(bed);
    const echo = echoIn(await bed.sent(get(`http://${web}/`)));
    const via = fieldsOf(echo, "via").join();
    expect(await bed.sent(get(`http://${web}/`, `Via: 1.0 fred, ${via}\r\nConnection: close\r\n`))).toMatch(
      /^HTTP\/1\.1 508 /,
    );
    expect(await bed.sent(get(`http://${web}/`, "Via: 1.0 fred\r\nConnection: close\r\n"))).toMatch(
      /^HTTP\/1\.1 200 /,
    );
  });

  test("what it says has nothing of the client's that could command a terminal or be a page", async () => {
    const reply = await bed.sent(get("http://<script>\u009b/"));
    expect(reply).toMatch(/X-Content-Type-Options: nosniff/);
    expect(reply.slice(reply.indexOf("\r\n\r\n") + 4)).not.toMatch(/[\u0080-\u009f](?![\u0080-\u00bf])/);
  });

  test("while the client still sends its body, which it may finish before it reads", async () => {
    const client = await bed.client();
    client.socket.write(
      `POST http://nosuch.berth.internal/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n`,
    );
    client.socket.write("x".repeat(2_000_000));
    expect(await client.closed).toBeUndefined();
    expect(client.text()).toMatch(/^HTTP\/1\.1 502 /);
  });
});
