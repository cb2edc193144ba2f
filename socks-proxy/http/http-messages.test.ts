import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { text as textOf } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";
import { echoIn, echoSite, fieldsOf, get, web } from "../testing/http-echo.ts";

let bed: HttpBed;
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(() => bed.close());

describe("a request in absolute-form", () => {
  test("is answered by the server behind the name, in origin-form and with its own Host", async () => {
    await echoSite(bed);
    const reply = await bed.sent(
      `GET http://${web}/a//b?c=%20&d HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\nX-Mine: 1\r\n\r\n`,
    );
    expect(reply).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(reply).toMatch(/\r\nVia: 1\.1 berth-[0-9a-f]{8}\r\n/);
    const echo = echoIn(reply);
    expect(echo).toMatchObject({ method: "GET", url: "/a//b?c=%20&d", body: "" });
    expect(fieldsOf(echo, "host")).toEqual([web]);
    expect(fieldsOf(echo, "x-mine")).toEqual(["1"]);
    expect(fieldsOf(echo, "via")).toEqual([expect.stringMatching(/^1\.1 berth-[0-9a-f]{8}$/)]);
    expect(bed.lines.join("\n")).not.toMatch(/warn|error/);
  });

  test("keeps what is between two hops from the server, whatever a Connection field names", async () => {
    await echoSite(bed);
    const fields = [
      "Connection: close, X-Private, Content-Length",
      "Proxy-Connection: keep-alive",
      "Keep-Alive: timeout=9",
      "X-Private: secret",
      "TE: trailers, deflate",
      "Proxy-Authorization: Basic dTpw",
      "Content-Length: 2",
      "",
    ].join("\r\n");
    const echo = echoIn(await bed.sent(`POST http://${web}/ HTTP/1.1\r\nHost: x\r\n${fields}\r\nhi`));
    expect(echo.body).toBe("hi");
    for (const gone of [
      "x-private",
      "proxy-connection",
      "keep-alive",
      "proxy-authorization",
      "transfer-encoding",
    ]) {
      expect(fieldsOf(echo, gone)).toEqual([]);
    }
    expect(fieldsOf(echo, "te")).toEqual(["trailers"]);
    expect(fieldsOf(echo, "content-length")).toEqual(["2"]);
  });

  test("field values beyond ASCII cross as they are", async () => {
    let asked = "";
    await bed.rawSite(web, (socket) =>
      socket.setEncoding("latin1").on("data", (text) => {
        asked += text;
        if (asked.endsWith("hello"))
          socket.end("HTTP/1.1 200 D\xe9j\xe0\r\nX: \xe9\r\nContent-Length: 2\r\n\r\nok", "latin1");
      }),
    );
    const client = await bed.client();
    const request = `POST http://${web}/ HTTP/1.1\r\nHost: x\r\nX: \xe9\r\nContent-Length: 5\r\n\r\nhello`;
    client.socket.write(request, "latin1");
    await client.until("ok");
    expect(asked).toContain("X: \xe9\r\n");
    expect(client.text()).toMatch(/^HTTP\/1\.1 200 D\xe9j\xe0\r\nX: \xe9\r\n/);
  });

  test.each([
    ["no length and no body", "POST", "", "", []],
    ["a length", "POST", "Content-Length: 5\r\n", "hello", ["5"]],
    ["a length and GET", "GET", "Content-Length: 5\r\n", "hello", ["5"]],
    ["chunks", "PUT", "Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", []],
    ["chunks and DELETE", "DELETE", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", []],
  ])("a body with %s arrives", async (_, method, fields, body, length) => {
    await echoSite(bed);
    const reply = await bed.sent(
      `${method} http://${web}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${fields}\r\n${body}`,
    );
    const echo = echoIn(reply);
    expect(echo).toMatchObject({ method, body: body === "" ? "" : "hello" });
    if (length.length > 0) expect(fieldsOf(echo, "content-length")).toEqual(length);
  });

  test("trailers cross in both directions, those that would frame or route a message aside", async () => {
    await bed.site(web, async (request, response) => {
      await textOf(request);
      response.writeHead(200, { Trailer: "X-Sum" });
      response.write(JSON.stringify(request.rawTrailers));
      response.addTrailers([
        ["X-Sum", "42"],
        ["Cache-Control", "no-store"],
      ]);
      response.end();
    });
    const reply = await bed.sent(
      `POST http://${web}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Mine: 7\r\nHost: evil\r\n\r\n`,
    );
    expect(reply).toContain(`["X-Mine","7"]`);
    expect(reply).toMatch(/0\r\nX-Sum: 42\r\n\r\n$/);
  });

  test("HEAD has the length and no body", async () => {
    await bed.site(web, (_, response) => response.writeHead(200, { "Content-Length": 5000 }).end());
    const reply = await bed.sent(`HEAD http://${web}/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(reply).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Length: 5000\r\n/);
    expect(reply).toMatch(/\r\n\r\n$/);
  });

  test.each([204, 304])("%i has no body and leaves the connection usable", async (status) => {
    await bed.site(web, (_, response) => response.writeHead(status, { ETag: '"x"' }).end());
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`, "").repeat(2));
    await client.until(new RegExp(`^HTTP/1\\.1 ${status} .*\r\n\r\nHTTP/1\\.1 ${status} `, "s"));
    expect(client.text()).not.toMatch(/transfer-encoding/i);
  });

  test("to an HTTP/1.0 client the body ends with the connection", async () => {
    await bed.site(web, (_, response) => {
      response.write("part one, ");
      response.end("part two");
    });
    const reply = await bed.sent(`GET http://${web}/ HTTP/1.0\r\n\r\n`);
    expect(reply).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(reply).not.toMatch(/chunked/);
    expect(reply).toMatch(/\r\n\r\npart one, part two$/);
  });

  test("Expect: 100-continue waits for the server's word", async () => {
    await bed.rawSite(web, (socket) => {
      socket.setEncoding("latin1");
      let seen = "";
      socket.on("data", (chunk) => {
        seen += chunk;
        if (seen.endsWith("\r\n\r\n")) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
        if (seen.endsWith("body")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
      });
    });
    const client = await bed.client();
    client.socket.write(
      `PUT http://${web}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`,
    );
    await client.until("HTTP/1.1 100 Continue\r\n\r\n");
    client.socket.write("body");
    await client.until("done");
  });

  test("an answer in the place of 100 is passed on, and the connection ended: what is left of a body is no request", async () => {
    await bed
      .site(web, () => expect.unreachable("it has a listener of its own"))
      .then(({ server }) =>
        server.on("checkContinue", (_, response) =>
          response.writeHead(413, { "Content-Length": 3 }).end("big"),
        ),
      );
    const client = await bed.client();
    client.socket.write(
      `PUT http://${web}/ HTTP/1.1\r\nHost: x\r\nContent-Length: 400\r\nExpect: 100-continue\r\n\r\n`,
    );
    await client.closed;
    expect(client.text()).toMatch(/^HTTP\/1\.1 413 .*\r\nConnection: close\r\n.*\r\nbig$/s);
  });

  test("early hints go ahead of the answer", async () => {
    await bed.site(web, (_, response) => {
      response.writeEarlyHints({ link: "</style.css>; rel=preload" }, () => response.end("page"));
    });
    const reply = await bed.sent(get(`http://${web}/`));
    expect(reply).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\n[Ll]ink: <\/style\.css>; rel=preload\r\n.*HTTP\/1\.1 200 OK/s,
    );
  });

  test("32 MiB cross each way, unchanged, at the pace of a slow reader", async () => {
    const given = randomBytes(32 << 20);
    const sum = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
    await bed.site(web, async (request, response) => {
      const got = Buffer.concat(await request.toArray());
      response.setHeader("x-sum", sum(got));
      response.end(got);
    });
    const request = httpRequest({
      host: "127.0.0.1",
      port: bed.port,
      path: `http://${web}/`,
      method: "POST",
      agent: false,
    });
    request.end(given);
    const [response] = await Promise.all([
      new Promise<import("node:http").IncomingMessage>((resolve) => request.once("response", resolve)),
    ]);
    expect(response.headers["x-sum"]).toBe(sum(given));
    response.pause();
    await new Promise((resolve) => setImmediate(resolve));
    const parts: Buffer[] = [];
    for await (const part of response) {
      parts.push(part as Buffer);
      if (parts.length % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(sum(Buffer.concat(parts))).toBe(sum(given));
  });
});
