import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { closedPort } from "../../client/testing/closed-port.ts";
import { serviceRecords } from "../../client/testing/doh-server.ts";
import { Rcode } from "../../shared/dns/constants.ts";
import { type HttpBed, startHttpBed } from "../testing/http-bed.ts";

const web = "web.berth.internal";
const get = (url: string, fields = "Connection: close\r\n"): string =>
  `GET ${url} HTTP/1.1\r\nHost: ${web}\r\n${fields}\r\n`;

let bed: HttpBed;
const closeMore: (() => void)[] = [];
beforeEach(async () => {
  bed = await startHttpBed();
});
afterEach(async () => {
  await bed.close();
  for (const close of closeMore.splice(0)) close();
});

/** Another bed in the place of the usual one. */
async function bedWith(config: Parameters<typeof startHttpBed>[0]): Promise<void> {
  await bed.close();
  bed = await startHttpBed(config);
}

/** The server says what it was asked: request line, fields and body. */
async function echoSite(): Promise<Awaited<ReturnType<HttpBed["site"]>>> {
  return bed.site(web, async (request, response) => {
    const body = await textOf(request);
    const { method, url, rawHeaders, rawTrailers } = request;
    response.end(JSON.stringify({ method, url, fields: rawHeaders, trailers: rawTrailers, body }));
  });
}

interface Echo {
  method: string;
  url: string;
  fields: string[];
  trailers: string[];
  body: string;
}

function echoIn(reply: string): Echo {
  return JSON.parse(/\{.*\}/s.exec(reply)?.[0] ?? expect.fail(reply)) as Echo;
}

function fieldsOf(echo: Echo, wanted: string): string[] {
  return echo.fields.flatMap((name, at) =>
    at % 2 === 0 && name.toLowerCase() === wanted ? [echo.fields[at + 1] ?? ""] : [],
  );
}

describe("a request in absolute-form", () => {
  test("is answered by the server behind the name, in origin-form and with its own Host", async () => {
    await echoSite();
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
    await echoSite();
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

  test("keeps the client's connection for the next one, and the server's", async () => {
    const site = await echoSite();
    const client = await bed.client();
    for (let count = 1; count <= 3; count++) {
      client.socket.write(get(`http://${web}/${count}`, ""));
      await client.until(`"url":"/${count}"`);
    }
    expect(site.connections).toHaveLength(1);
  });

  test("requests sent at once are asked and answered one after the other", async () => {
    let [open, most] = [0, 0];
    await bed.site(web, (request, response) => {
      most = Math.max(most, ++open);
      setImmediate(() => {
        open--;
        response.end(`<${request.url}>`);
      });
    });
    const reply = await bed.sent(
      get(`http://${web}/1`, "") + get(`http://${web}/2`, "") + get(`http://${web}/3`),
    );
    expect(reply.match(/<[^>]*>/g)).toEqual(["</1>", "</2>", "</3>"]);
    expect(most).toBe(1);
  });

  test("what comes behind the last one is asked of nobody", async () => {
    const asked: (string | undefined)[] = [];
    await bed.site(web, (request, response) => {
      asked.push(request.url);
      response.end("last");
    });
    const reply = await bed.sent(get(`http://${web}/1`) + get(`http://${web}/2`));
    expect(reply.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(asked).toEqual(["/1"]);
    // Of our own accord as well: what is behind a request that was not understood is none.
    expect((await bed.sent(get("/", "") + get(`http://${web}/3`, ""))).match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(asked).toEqual(["/1"]);
  });

  test("more of them than any program sends at once end the connection", async () => {
    await bed.rawSite(web, () => {});
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`, "").repeat(100));
    await client.closed;
  });

  test("of which a kept connection has gone is asked again over a new one", async () => {
    const site = await echoSite();
    site.server.keepAliveTimeout = 0;
    const client = await bed.client();
    client.socket.write(get(`http://${web}/1`, ""));
    await client.until(`"url":"/1"`);
    site.connections[0]?.once("data", () => site.connections[0]?.resetAndDestroy());
    client.socket.write(get(`http://${web}/2`, ""));
    await client.until(`"url":"/2"`);
    expect(site.connections).toHaveLength(2);
  });

  test("of another client never goes over it: it may be open to that client alone", async () => {
    const site = await echoSite();
    for (const url of ["/1", "/2"]) {
      const client = await bed.client();
      client.socket.write(get(`http://${web}${url}`, ""));
      await client.until(`"url":"${url}"`);
    }
    expect(site.connections).toHaveLength(2);
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

  test("that changes something never goes over a kept connection", async () => {
    const site = await echoSite();
    const client = await bed.client();
    client.socket.write(get(`http://${web}/1`, ""));
    await client.until(`"url":"/1"`);
    client.socket.write(`POST http://${web}/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
    await client.until(`"url":"/2"`);
    expect(site.connections).toHaveLength(2);
  });

  test.each([
    ["no length and no body", "POST", "", "", []],
    ["a length", "POST", "Content-Length: 5\r\n", "hello", ["5"]],
    ["a length and GET", "GET", "Content-Length: 5\r\n", "hello", ["5"]],
    ["chunks", "PUT", "Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", []],
    ["chunks and DELETE", "DELETE", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", []],
  ])("a body with %s arrives", async (_, method, fields, body, length) => {
    await echoSite();
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

  test("a server that is silent for the idle time-out is 504", async () => {
    await bedWith({ idleTimeout: 1 });
    await bed.rawSite(web, () => {});
    expect(await bed.sent(get(`http://${web}/`))).toMatch(
      /^HTTP\/1\.1 504 .*the server was silent too long/s,
    );
  });
});

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
    await bedWith({ restartPatience: 0 });
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
    await bedWith({ rule: ["deny any:81", "deny private"], outside: "deny" });
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
    await echoSite();
    const client = await bed.client();
    client.socket.write(octets);
    await client.until(new RegExp(`^HTTP/1\\.1 ${wanted.source}`, "s"));
    expect(client.text()).not.toMatch(/secret/);
    expect(bed.lines.join("\n")).not.toMatch(/secret/);
  });

  test("a coding in disguise", async () => {
    const site = await echoSite();
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
    await echoSite();
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

describe("users", () => {
  async function bedWithUsers(): Promise<void> {
    const dir = mkdtempSync(join(tmpdir(), "berth-http-"));
    closeMore.push(() => rmSync(dir, { recursive: true }));
    const usersFile = join(dir, "users");
    writeFileSync(usersFile, "ann:pass:word\nbob:grüße\n");
    chmodSync(usersFile, 0o600);
    await bedWith({ usersFile, connectionsPerClient: 100 });
    await echoSite();
  }
  const basic = (credentials: string) =>
    `Proxy-Authorization: Basic ${Buffer.from(credentials).toString("base64")}\r\nConnection: close\r\n`;

  test.each(["ann:pass:word", "bob:grüße"])(
    "%s may ask, and the server does not hear of the password",
    async (credentials) => {
      await bedWithUsers();
      const reply = await bed.sent(get(`http://${web}/`, basic(credentials)));
      expect(reply).toMatch(/^HTTP\/1\.1 200 /);
      expect(fieldsOf(echoIn(reply), "proxy-authorization")).toEqual([]);
    },
  );

  test("anybody else is asked who they are", async () => {
    await bedWithUsers();
    const strangers = [
      "Connection: close\r\n",
      basic("ann:wrong"),
      basic("eve:pass:word"),
      basic("ann"),
      `Proxy-Authorization: Bearer x\r\nConnection: close\r\n`,
      basic("ann:pass:word") + basic("eve:x"),
    ];
    for (const fields of strangers) {
      expect(await bed.sent(get(`http://${web}/`, fields))).toMatch(
        /^HTTP\/1\.1 407 Proxy Authentication Required\r\n.*Proxy-Authenticate: Basic realm="berth", charset="UTF-8"\r\n/s,
      );
      expect(await bed.sent(`CONNECT ${web}:80 HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)).toMatch(
        /^HTTP\/1\.1 407 /,
      );
    }
    expect(bed.lines.join("\n")).not.toMatch(/pass:word|wrong/);
  });

  test("a client may prove it on the connection it was asked on", async () => {
    await bedWithUsers();
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`, ""));
    await client.until("407");
    client.socket.write(get(`http://${web}/`, basic("ann:pass:word")));
    await client.until("HTTP/1.1 200 OK");
  });
});

describe("time limits", () => {
  test("a head that takes longer than the hand-shake's limit, octet by octet, gets no further", async () => {
    await bedWith({ handshakeTimeout: 1 });
    const client = await bed.client();
    client.socket.write(`GET http://${web}/`);
    const drip = setInterval(() => client.socket.write("x"), 50);
    closeMore.push(() => clearInterval(drip));
    await client.closed;
    expect(client.text()).not.toMatch(/200/);
  });

  test("a client that does not end after the last answer is ended", async () => {
    await echoSite();
    const socket = connect({ host: "127.0.0.1", port: bed.port, allowHalfOpen: true });
    closeMore.push(() => socket.destroy());
    socket.write(get(`http://${web}/`));
    socket.resume();
    await once(socket, "end");
    // Ours is the only end that there can be: the other direction stays open until it is reset.
    const drip = setInterval(() => socket.write("x"), 50);
    closeMore.push(() => clearInterval(drip));
    await once(socket, "error").catch((fault: unknown) => fault);
  });

  test("a kept connection ends when nothing more is asked", async () => {
    await bedWith({ idleTimeout: 1 });
    await echoSite();
    const client = await bed.client();
    client.socket.write(get(`http://${web}/`, ""));
    await client.until("200 OK");
    await client.closed;
  });
});

test("closing the proxy ends connections that are kept, and leaves none to servers", async () => {
  const site = await echoSite();
  const client = await bed.client();
  client.socket.write(get(`http://${web}/`, ""));
  await client.until(`"body"`);
  const atServer = new Promise((resolve) => site.connections[0]?.once("close", resolve));
  await bed.proxy.close();
  await Promise.all([client.closed, atServer]);
});
