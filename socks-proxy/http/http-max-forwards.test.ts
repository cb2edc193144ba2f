import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { echoIn, echoSite, fieldsOf, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(() => bed.close());

describe("a request that may go no further (Max-Forwards: 0)", () => {
  const asked = (method: string, hops: string, more = "") =>
    bed.sent(
      `${method} http://${web} HTTP/1.1\r\nHost: ${web}\r\nConnection: close\r\nMax-Forwards: ${hops}\r\n${more}\r\n`,
    );

  test("is answered by the proxy, and the server does not hear of it", async () => {
    const site = await echoSite(bed);
    expect(await asked("OPTIONS", "0")).toMatch(
      /^HTTP\/1\.1 200 OK\r\n.*no further than the proxy berth-[0-9a-f]{8}\n$/s,
    );
    expect(await asked("TRACE", "000")).toMatch(
      /^HTTP\/1\.1 405 Method Not Allowed\r\n.*\r\nAllow: OPTIONS\r\n/s,
    );
    expect(await asked("OPTIONS", "0", "Upgrade: x\r\nConnection: upgrade\r\n")).toMatch(
      /^HTTP\/1\.1 200 OK\r\n/,
    );
    expect(site.connections).toEqual([]);
  });

  test("leaves the connection usable", async () => {
    await echoSite(bed);
    const client = await bed.client();
    client.socket.write(`OPTIONS http://${web} HTTP/1.1\r\nHost: ${web}\r\nMax-Forwards: 0\r\n\r\n`);
    await client.until("no further");
    client.socket.write(`GET http://${web}/next HTTP/1.1\r\nHost: ${web}\r\n\r\n`);
    await client.until(`"url":"/next"`);
  });

  test("with more hops left goes to the server, with one less", async () => {
    await echoSite(bed);
    const echo = echoIn(await asked("OPTIONS", "3"));
    expect(echo).toMatchObject({ method: "OPTIONS", url: "*" });
    expect(fieldsOf(echo, "max-forwards")).toEqual(["2"]);
  });

  test("is any other one for methods that the field means nothing to", async () => {
    await echoSite(bed);
    expect(fieldsOf(echoIn(await asked("GET", "0")), "max-forwards")).toEqual(["0"]);
  });
});
