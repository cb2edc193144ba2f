import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { get, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(async () => {
  await bed.close();
  expect(bed.lines.filter((line) => line.startsWith("error"))).toEqual([]);
});

const upgrade = `GET http://${web}/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;

describe("what nobody expects of a client", () => {
  test("more, behind what is no HTTP: it is let finish before it reads the answer", async () => {
    const client = await bed.client();
    client.socket.write("HELLO\r\n\r\n");
    client.socket.write("x".repeat(2_000_000));
    expect(await client.closed).toBeUndefined();
    expect(client.text()).toMatch(/^HTTP\/1\.1 400 .*RFC 9112 has it\n$/s);
  });

  test("much, behind a request for another protocol that is not granted: it is answered all the same", async () => {
    await bed.site(web, (_, response) => response.writeHead(401).end("who?"));
    const client = await bed.client();
    client.socket.write(upgrade + "x".repeat(16_000_000));
    expect(await client.closed).toBeUndefined();
    expect(client.text()).toMatch(/^HTTP\/1\.1 401 .*who\?/s);
  });

  test("CONNECT while an answer is awaited: a reset, as it will not come", async () => {
    const asked = Promise.withResolvers<void>();
    await bed.rawSite(web, (socket) => socket.once("data", () => asked.resolve()));
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`, ""));
    await asked.promise;
    client.socket.write(`CONNECT ${web}:80 HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(await client.closed).toMatchObject({ code: "ECONNRESET" });
  });

  test("trailers announced where there are none: the request goes on without", async () => {
    await bed.site(web, (request, response) => response.end(`${request.rawHeaders}`));
    const reply = await bed.sent(get(`http://${web}/`, "Trailer: X-Sum\r\nConnection: close\r\n"));
    expect(reply).toMatch(/^HTTP\/1\.1 200 /);
    expect(reply).not.toMatch(/X-Sum/);
  });
});

describe("what nobody expects of a server", () => {
  test("trailers announced in a response that has no body: HEAD is answered all the same", async () => {
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
    await bed.rawSite(web, (socket) => socket.once("data", () => socket.end(head)));
    const reply = await bed.sent(`HEAD http://${web}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(reply).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([
    ["a request", get(`http://${web}/`)],
    ["an upgrade", upgrade],
  ])("101 without a protocol, as the answer to %s: 502", async (_, octets) => {
    await bed.rawSite(web, (socket) =>
      socket.once("data", () =>
        socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
      ),
    );
    expect(await bed.sent(octets)).toMatch(
      /^HTTP\/1\.1 502 .*what the server sent is no HTTP: 101 is no final status/s,
    );
  });
});
