import { once } from "node:events";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer as createPlainServer, type RequestListener, type Server } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { openAuthority } from "../resolver/serve/authority.ts";
import type { HttpRequest } from "../shared/resolver-exchange.ts";
import { createHttpSend } from "./http-send.ts";
import { sendTrusting } from "./trust.ts";

let directory: string;
let servers: Server[];
let connections: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "berth-t-"));
  servers = [];
  connections = 0;
});
afterEach(() => {
  for (const server of servers) server.close().closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
});

const send = createHttpSend(() => false);

async function serve(listener: RequestListener, server = createPlainServer()): Promise<string> {
  servers.push(server.on("request", listener).on("connection", () => connections++));
  server.on("secureConnection", () => connections++);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function get(changed: Partial<HttpRequest> = {}): HttpRequest {
  return { method: "GET", headers: {}, signal: AbortSignal.timeout(10_000), redirect: "manual", ...changed };
}

test("sends method, path, headers and body as they are, and reads the whole reply", async () => {
  const host = await serve(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const { "content-length": length, "berth-epoch": epoch } = request.headers;
    response.writeHead(422).write(`${request.method} ${request.url} ${length} ${epoch} `);
    response.end(`${body} €`);
  });
  const body = new TextEncoder().encode("ä");
  const reply = await send(
    `http://${host}/v1/x?y=1`,
    get({ method: "PUT", headers: { "berth-epoch": "7" }, body }),
  );
  expect([reply.ok, reply.status, await reply.text()]).toEqual([false, 422, "PUT /v1/x?y=1 2 7 ä €"]);
});

test("two requests, one connection", async () => {
  const host = await serve((_, response) => void response.end("yes"));
  for (let asked = 0; asked < 2; asked++)
    expect(await (await send(`http://${host}/`, get())).text()).toBe("yes");
  expect(connections).toBe(1);
});

test("a redirect is a reply like any other", async () => {
  const host = await serve((_, response) => void response.writeHead(307, { location: "/there" }).end());
  expect(await send(`http://${host}/`, get())).toMatchObject({ ok: false, status: 307 });
});

test("a reply that breaks off is none, nor is one without end", async () => {
  const broken = await serve((_, response) => {
    response.writeHead(200, { "content-length": "9" }).write("a", () => response.destroy());
  });
  await expect(send(`http://${broken}/`, get())).rejects.toThrow(/aborted|hang up/);
  const endless = await serve((_, response) => {
    const more = (): boolean => response.write(Buffer.alloc(1 << 20), () => response.destroyed || more());
    more();
  });
  await expect(send(`http://${endless}/`, get())).rejects.toThrow("a reply of more than 16777216 bytes");
});

test("an abort ends a request under way, and the reading of its reply", async () => {
  const host = await serve((request, response) => {
    if (request.url === "/begun") response.writeHead(200).write("a");
  });
  for (const path of ["/silent", "/begun"]) {
    const ending = new AbortController();
    const asked = send(`http://${host}${path}`, get({ signal: ending.signal }));
    setTimeout(() => ending.abort(new Error("over")), 100);
    await expect(asked).rejects.toThrow();
  }
});

async function secureServer(name: string): Promise<{ host: string; caFile: string }> {
  const authority = await openAuthority(join(directory, name));
  const tls = await authority.serverCertificate(["127.0.0.1"], Date.now());
  return {
    host: await serve((_, response) => void response.end(name), createServer(tls)),
    caFile: authority.caFile,
  };
}

test("trusts the authority in the file, and another one when the file changes", async () => {
  const file = join(directory, "ca.pem");
  const trusting = sendTrusting(file, false);
  const { readFileSync } = await import("node:fs");
  const [one, other] = [await secureServer("one"), await secureServer("other")];
  const ask = async ({ host }: { host: string }) => (await trusting(`https://${host}/`, get())).text();
  await expect(ask(one)).rejects.toThrow();
  writeFileSync(file, readFileSync(one.caFile));
  expect(await ask(one)).toBe("one");
  await expect(ask(other)).rejects.toThrow();
  writeFileSync(file, readFileSync(other.caFile));
  // The two writes may fall into one tick of the file system's clock.
  utimesSync(file, 1, 1);
  expect(await ask(other)).toBe("other");
  await expect(ask(one), "by a connection kept from before").rejects.toThrow();
});
