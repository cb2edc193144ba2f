import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { connect, type TLSSocket } from "node:tls";
import { WebSocket } from "ws";
import type { Declared } from "../../shared/binding.ts";

import { EventParser } from "../../shared/changes.ts";
import { digestOf } from "../../shared/digest.ts";
import type { RegistryBed } from "./registry-bed.ts";
import type { RegistryHost } from "./registry-host.ts";

/** The host's link, for the set it pushed last. Rejects with the status where it was refused. */
export async function linkOf(host: RegistryHost, declared: Declared, localAddress = "127.0.0.1") {
  const { bed } = host;
  host.sequence++;
  const { path, headers } = await signedUpgrade(host, declared);
  const url = `wss://127.0.0.1:${bed.port}${path}`;
  const socket = new WebSocket(url, "berth.link.1", { ca: bed.ca, headers, localAddress });
  const closed = new Promise<number>((resolve) => socket.once("close", (code) => resolve(code)));
  await new Promise<void>((resolve, reject) => {
    socket.on("open", resolve).on("error", reject);
  });
  return {
    socket,
    /** The code it was closed with. */
    closed,
    /** Pings, and resolves when it was answered. */
    async ping(): Promise<void> {
      const pong = new Promise<void>((resolve) => {
        socket.on("message", (text) => {
          if (String(text) === "pong") resolve();
        });
      });
      socket.send("ping");
      await Promise.race([pong, closed.then((code) => Promise.reject(new Error(`closed with ${code}`)))]);
    },
  };
}

/** What asks for a link, for the host's present turn. */
export async function signedUpgrade(host: RegistryHost, declared: Declared) {
  const own = { "berth-digest": await digestOf(declared), "berth-lease": String(host.lease) };
  return host.sign("GET", `${host.path}/link`, undefined, own);
}

/** One reader of the change feed: its events in order, in a word each. */
export async function feedOf(bed: RegistryBed, token: string) {
  const headers = { authorization: `Bearer ${token}` };
  const asked = request({
    host: "127.0.0.1",
    port: bed.port,
    path: "/v1/changes",
    headers,
    ca: bed.ca,
    agent: false,
  });
  asked.on("error", () => undefined);
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`the feed: ${response.statusCode}`);
  const events: string[] = [];
  const parser = new EventParser();
  response.setEncoding("utf8");
  response.on("data", (text: string) =>
    events.push(...parser.push(text).map(({ event, data }) => `${event} ${data}`)),
  );
  response.on("error", () => undefined);
  return { events, response, close: () => void asked.destroy() };
}

/** A TLS connection for HTTP/1.1 that does what the test tells it to; `read` is what came so far. */
export async function rawConnection(bed: RegistryBed, localAddress = "127.0.0.1") {
  const place = { host: "127.0.0.1", port: bed.port, ca: bed.ca, localAddress, ALPNProtocols: ["http/1.1"] };
  const socket: TLSSocket = connect(place);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await Promise.race([once(socket, "secureConnect"), closed]);
  return { socket, closed, read: () => Buffer.concat(chunks).toString() };
}
