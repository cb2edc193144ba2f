import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { get, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(() => bed.close());

describe("what breaks off", () => {
  test.each([
    ["a length", "Content-Length: 100\r\n\r\npart"],
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"],
  ])("a response with %s never looks whole", async (_, rest) => {
    await bed.rawSite(web, (socket) => socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\n${rest}`)));
    const reply = await bed.sent(get(`http://${web}/`));
    expect(reply).toMatch(/part/);
    expect(reply).not.toMatch(/\r\n0\r\n\r\n$/);
  });

  test("a response that only its connection's end would end, and a reset ends, never looks whole", async () => {
    let reset = (): void => {};
    await bed.rawSite(web, (socket) => {
      reset = () => void socket.resetAndDestroy();
      socket.once("data", () => void socket.write("HTTP/1.1 200 OK\r\n\r\npart"));
    });
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`));
    await client.until("part");
    reset();
    expect(await client.closed).toMatchObject({ code: "ECONNRESET" });
    expect(client.text()).not.toMatch(/\r\n0\r\n\r\n$/);
  });

  test("to an HTTP/1.0 client it is a reset", async () => {
    await bed.rawSite(web, (socket) =>
      socket.once("data", () =>
        socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n"),
      ),
    );
    const client = await bed.client();
    client.socket.write(`GET http://${web}/ HTTP/1.0\r\n\r\n`);
    expect(await client.closed).toMatchObject({ code: "ECONNRESET" });
  });

  test("a client that leaves ends the request at the server", async () => {
    const gone = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    await bed.rawSite(web, (socket) => {
      socket.once("data", () => asked.resolve());
      socket.once("end", () => gone.resolve());
    });
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`));
    await asked.promise;
    client.socket.destroy();
    await gone.promise;
  });

  test("a body that is cut off is cut off at the server as well", async () => {
    const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()];
    await bed.site(web, (request) => {
      request.on("error", ({ message }) => ended.resolve(message)).on("end", () => ended.resolve("whole"));
      request.once("data", () => begun.resolve());
    });
    const client = await bed.client();
    client.socket.write(`POST http://${web}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf`);
    await begun.promise;
    client.socket.destroy();
    expect(await ended.promise).toBe("aborted");
  });

  test("no answer at all is 502, with a sentence", async () => {
    await bed.rawSite(web, (socket) => socket.once("data", () => socket.end()));
    expect(await bed.sent(get(`http://${web}/`))).toMatch(
      /^HTTP\/1\.1 502 Bad Gateway\r\n.*berth: web\.berth\.internal:80: the server closed the connection before it answered\n$/s,
    );
  });

  test.each([
    ["no HTTP", "SSH-2.0-OpenSSH_9\r\n"],
    [
      "both a length and chunks",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    [
      "a coding besides chunks",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\npart\r\n0\r\n\r\n",
    ],
    [
      "a switch nobody asked for",
      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ],
  ])("%s from a server is 502", async (_, answer) => {
    await bed.rawSite(web, (socket) => socket.once("data", () => socket.end(answer)));
    expect(await bed.sent(get(`http://${web}/`))).toMatch(/^HTTP\/1\.1 502 /);
  });
});
