import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import { type AddressInfo, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { curlDoh, curlSocks, type DnsQuery, digHttps, kdigHttps } from "./dns-clients.ts";

describe("DoH clients against a server that knows one address", { timeout: 30_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), "berth-d-"));
  const caFile = join(dir, "cert.pem");
  const methods: string[] = [];
  let server: Http2SecureServer;
  let web: Server;
  let query: DnsQuery;

  beforeAll(async () => {
    makeCertificate(dir);
    server = createSecureServer({
      key: readFileSync(join(dir, "key.pem")),
      cert: readFileSync(caFile),
      allowHTTP1: true,
    });
    server.on("request", async (request, response) => {
      methods.push(request.method);
      const encoded = new URL(request.url, "https://doh.test").searchParams.get("dns");
      const message = encoded ? Buffer.from(encoded, "base64url") : await buffer(request);
      const reply = answer(message);
      // BIND's dig takes a response without content-length for an empty one: "short (< header size) message".
      const headers = { "content-type": "application/dns-message", "content-length": reply.length };
      response.writeHead(200, headers).end(reply);
    });
    web = createServer((socket) => socket.once("data", () => socket.end(httpPage)));
    await Promise.all([listen(server), listen(web)]);
    query = {
      server: "127.0.0.1",
      port: portOf(server),
      name: "web.test",
      type: "A",
      caFile,
      tlsHostname: "doh.test",
    };
  });

  afterAll(() => {
    server.close();
    web.close();
    rmSync(dir, { recursive: true });
  });

  test.for([
    { client: kdigHttps, owner: "web.test." },
    { client: digHttps, owner: "web.test." },
  ])("$client.name: POST and GET, an answer and NXDOMAIN", async ({ client, owner }) => {
    methods.length = 0;
    const posted = await client(query);
    expect(posted, posted.text).toMatchObject({ code: 0, status: "NOERROR", authority: [] });
    expect(posted.answer).toEqual([[owner, "30", "IN", "A", "127.0.0.1"]]);
    expect(posted.flags).toEqual(expect.arrayContaining(["qr", "aa"]));
    expect(await client({ ...query, get: true, name: "no.test" })).toMatchObject({
      status: "NXDOMAIN",
      answer: [],
    });
    expect(methods).toEqual(["POST", "GET"]);
  });

  // The exit status says nothing: dig ends with 0 after a failed handshake.
  test.for([{ client: kdigHttps }, { client: digHttps }])(
    "$client.name refuses a foreign name",
    async ({ client }) => {
      expect(await client({ ...query, tlsHostname: "other.test" })).toMatchObject({
        status: undefined,
        answer: [],
      });
    },
  );

  test("curl finds the address through DoH and keeps the URL's port", async () => {
    const dohUrl = `https://127.0.0.1:${query.port}/dns-query`;
    const found = await curlDoh({ dohUrl, caFile, url: `http://web.test:${portOf(web)}/` });
    expect(found, found.stderr).toMatchObject({ code: 0, status: 200, body: "hello\n" });
    const missing = await curlDoh({ dohUrl, caFile, url: "http://no.test/" });
    expect(missing).toMatchObject({ code: 6, body: "" });
    expect(missing).not.toHaveProperty("status");
  });
});

describe("curl through SOCKS", { timeout: 30_000 }, () => {
  test("the proxy gets the name; its reply decides between a page and status 97", async () => {
    const requests: string[] = [];
    // Greeting, request, then the page itself: one recv per message is enough for curl on loopback.
    const proxy = createServer((socket) => {
      socket.once("data", () => {
        socket.write(Buffer.from([5, 0]));
        socket.once("data", (request) => {
          requests.push(request.subarray(5, -2).toString());
          const reply = request.includes("web.test") ? 0 : 4;
          socket.write(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]));
          socket.once("data", () => socket.end(httpPage));
        });
      });
    });
    await listen(proxy);
    const address = `127.0.0.1:${portOf(proxy)}`;
    expect(await curlSocks({ proxy: address, url: "http://web.test/" })).toMatchObject({
      status: 200,
      body: "hello\n",
    });
    expect(await curlSocks({ proxy: address, url: "http://no.test/" })).toMatchObject({ code: 97, body: "" });
    expect(requests).toEqual(["web.test", "no.test"]);
    proxy.close();
  });
});

const httpPage = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n";

/** A for web.test, no data for its other types, NXDOMAIN for the rest; bytes by hand, to lean on no codec. */
function answer(query: Buffer): Buffer {
  const endOfQuestion = query.indexOf(0, 12) + 5;
  const known = query.subarray(12).includes("\x03web\x04test\0");
  const isA = query.readUInt16BE(endOfQuestion - 4) === 1;
  const header = Buffer.from([0, 0, 0x84, known ? 0 : 3, 0, 1, 0, known && isA ? 1 : 0, 0, 0, 0, 0]);
  query.copy(header, 0, 0, 2);
  const rr = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([header, query.subarray(12, endOfQuestion), ...(known && isA ? [rr] : [])]);
}

function makeCertificate(dir: string): void {
  const names = "subjectAltName=DNS:doh.test,IP:127.0.0.1";
  const argv = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "2",
  ];
  argv.push(
    "-subj",
    "/CN=doh.test",
    "-addext",
    names,
    "-keyout",
    join(dir, "key.pem"),
    "-out",
    join(dir, "cert.pem"),
  );
  execFileSync("openssl", argv, { stdio: "pipe" });
}

function listen(server: Server | Http2SecureServer): Promise<void> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
}

function portOf(server: Server | Http2SecureServer): number {
  return (server.address() as AddressInfo).port;
}
