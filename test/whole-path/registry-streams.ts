import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { connect, type TLSSocket } from "node:tls";

import { openLink } from "../../resolver/serve/testing/link-clients.ts";
import type { Declared } from "../../shared/binding.ts";
import { EventParser } from "../../shared/changes.ts";
import { digestOf } from "../../shared/digest.ts";
import type { RegistryBed } from "./registry-bed.ts";
import type { RegistryHost } from "./registry-host.ts";

/** The host's link, for the set it pushed last. */
export async function linkOf(host: RegistryHost, declared: Declared) {
  const { bed } = host;
  host.sequence++;
  const { path, headers } = await signedUpgrade(host, declared);
  return openLink({ port: bed.port, ca: bed.ca, path }, headers);
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
  const ended = new Promise<void>((resolve) => response.once("close", () => resolve()));
  return { events, ended, response, close: () => void asked.destroy() };
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
