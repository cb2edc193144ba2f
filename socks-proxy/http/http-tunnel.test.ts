import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { closedPort } from "../../client/testing/closed-port.ts";
import { serviceRecords } from "../../client/testing/doh-server.ts";
import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";

const web = "web.berth.internal";
const connect = `CONNECT ${web}:80 HTTP/1.1\r\nHost: ${web}:80\r\n\r\n`;
const established = "HTTP/1.1 200 Connection Established\r\n\r\n";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(() => bed.close());

describe("CONNECT", () => {
  test("relays once it is connected, what came with the request included, and ends each direction by itself", async () => {
    const received = Promise.withResolvers<string>();
    await bed.rawSite(web, async (socket) => {
      received.resolve(Buffer.concat(await socket.toArray()).toString());
      socket.end("got it");
    });
    const client = await bed.client();
    client.socket.end(`${connect}early`);
    expect(await received.promise).toBe("early");
    await client.closed;
    expect(client.text()).toBe(`${established}got it`);
  });

  test("a server that speaks first is heard", async () => {
    await bed.rawSite(web, (socket) => socket.write("220 ready\r\n"));
    const client = await bed.client();
    client.socket.write(connect);
    expect(await client.until("ready")).toBe(`${established}220 ready\r\n`);
  });

  test("8 MiB that do not wait for the answer arrive as they are", async () => {
    const given = Buffer.alloc(8 << 20, "0123456789abcdef");
    const sum = createHash("sha256").update(given).digest("hex");
    await bed.rawSite(web, (socket) => {
      const hash = createHash("sha256");
      socket.on("data", (chunk) => void hash.update(chunk));
      socket.on("end", () => socket.end(hash.digest("hex")));
    });
    const client = await bed.client();
    client.socket.write(connect);
    client.socket.end(given);
    await client.closed;
    expect(client.text()).toBe(established + sum);
  });

  test("an upstream that breaks off breaks the client off", async () => {
    await bed.rawSite(web, (socket) => socket.once("data", () => socket.resetAndDestroy()));
    const client = await bed.client();
    client.socket.write(`${connect}x`);
    expect(await client.closed).toMatchObject({ code: "ECONNRESET" });
  });

  test.each([
    ["an unknown name", "nosuch.berth.internal:80", /502 .*nothing is published under this name/s],
    ["a port that is not published", `${web}:22`, /502 .*it publishes 80\n$/s],
    ["no host", ":80", /400 /],
    ["port 0", `${web}:0`, /400 /],
  ])("%s is told why, and the connection ended", async (_, target, wanted) => {
    await bed.rawSite(web, () => {});
    const reply = await bed.sent(`CONNECT ${target} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(reply).toMatch(new RegExp(`^HTTP/1\\.1 ${wanted.source}`, "s"));
    expect(reply).toMatch(/\r\nConnection: close\r\n/);
  });

  test("nobody listens: 502", async () => {
    const port = await closedPort();
    expect(await bed.sent(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: x\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 502 .*ECONNREFUSED/s,
    );
  });

  test("IPv6 stands in brackets", async () => {
    const port = await bed.upstream((socket) => socket.end("six"), "::1");
    expect(await bed.sent(`CONNECT [::1]:${port} HTTP/1.1\r\nHost: x\r\n\r\n`)).toBe(`${established}six`);
  });

  test("behind a request that is not answered yet is refused, as it would take the answer's place", async () => {
    await bed.rawSite(web, () => {});
    const reply = await bed.sent(`GET http://${web}/ HTTP/1.1\r\nHost: x\r\n\r\n${connect}`);
    expect(reply).not.toMatch(/200/);
  });

  test("a client that leaves while its endpoint is silent ends the attempt", async () => {
    const client = await bed.client();
    client.socket.write(connect.replace(web, "nosuch.example.invalid"));
    client.socket.destroy();
    await client.closed;
    await bed.proxy.close();
  });

  test("is counted and logged as any other connection", async () => {
    await bed.rawSite(web, (socket) => socket.end("hello"));
    await bed.sent(connect);
    await expect
      .poll(() => bed.lines.join("\n"))
      .toMatch(/web\.berth\.internal:80 at 127\.0\.0\.1:\d+: 0 bytes up, 5 down, ended/);
  });
});

describe("an upgrade", () => {
  const upgrade = (fields = "") =>
    `GET http://${web}/chat HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n${fields}\r\n`;

  test("that the server takes makes a tunnel, first bytes of both sides included", async () => {
    const head = Promise.withResolvers<string>();
    await bed.rawSite(web, (socket) => {
      let seen = "";
      socket.on("data", (chunk) => {
        seen += chunk;
        if (!seen.includes("\r\n\r\n")) return;
        head.resolve(seen.slice(0, seen.indexOf("\r\n\r\n")));
        if (seen.endsWith("first"))
          socket.write(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome",
          );
        else socket.write(`<${chunk}>`);
      });
    });
    const client = await bed.client();
    client.socket.write(upgrade());
    const lines = (await head.promise).split("\r\n");
    expect(lines[0]).toBe("GET /chat HTTP/1.1");
    expect(lines.slice(1)).toEqual(
      expect.arrayContaining([
        `Host: ${web}`,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Key: k",
      ]),
    );
    expect(lines.filter((line) => /^(connection|upgrade|host):/i.test(line))).toHaveLength(3);
  });

  test("relays both ways after 101", async () => {
    await bed
      .site(web, () => expect.unreachable("it has a listener of its own"))
      .then(({ server }) =>
        server.on("upgrade", (request, socket, head) => {
          socket.write(
            `HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\nX-Sum: 1\r\n\r\nwelcome`,
          );
          socket.write(head);
          socket.pipe(socket);
        }),
      );
    const client = await bed.client();
    client.socket.write(`${upgrade()}early;`);
    await client.until("welcomeearly;");
    expect(client.text()).toMatch(
      /^HTTP\/1\.1 101 Yes\r\n.*X-Sum: 1\r\n.*Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome/s,
    );
    client.socket.end("late;");
    await client.closed;
    expect(client.text()).toMatch(/welcomeearly;late;$/);
  });

  test("that the server does not take is answered, and the connection ended", async () => {
    await bed.site(web, (_, response) => response.writeHead(401, { "Content-Length": 4 }).end("who?"));
    const reply = await bed.sent(upgrade());
    expect(reply).toMatch(/^HTTP\/1\.1 401 .*\r\nConnection: close\r\n.*who\?$/s);
  });

  test("of a server that ends without a word is 502", async () => {
    await bed.rawSite(web, (socket) => socket.once("data", () => socket.end()));
    expect(await bed.sent(upgrade())).toMatch(/^HTTP\/1\.1 502 /);
  });

  test("to nobody is told why", async () => {
    expect(await bed.sent(upgrade())).toMatch(/^HTTP\/1\.1 502 .*nothing is published/s);
    bed.resolver.records.push(...serviceRecords(web, 80, [{ address: "127.0.0.1", port: 9 }]));
    expect(await bed.sent(upgrade("Transfer-Encoding: gzip\r\n"))).toMatch(/^HTTP\/1\.1 400 /);
  });

  test.each([
    [
      "to h2c",
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
      "",
    ],
    ["with a body", "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n", "hi"],
  ])("%s is an ordinary request", async (_, fields, body) => {
    await bed.site(web, (request, response) => {
      const { upgrade: wanted, "http2-settings": settings } = request.headers;
      response.setHeader("Connection", "close");
      response.end(`${wanted} ${settings}`);
    });
    const client = await bed.client();
    client.socket.write(
      `POST http://${web}/ HTTP/1.1\r\nHost: x\r\n${fields}${body === "" ? "Content-Length: 0\r\n" : ""}\r\n${body}`,
    );
    await client.until("undefined undefined");
  });
});
