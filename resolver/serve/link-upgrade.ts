import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";

import { BerthError } from "../../shared/errors.ts";
import { checkLinkProtocol } from "../link-protocol.ts";

/** Whether this is a request for a link; any other upgrade (curl asks for h2c) is ignored and answered as the request it is. */
export function isLinkRequest({ headers, url }: IncomingMessage): boolean {
  const isWebSocket = headers.upgrade?.toLowerCase() === "websocket";
  return isWebSocket && /^\/v1\/hosts\/[^/?]+\/link$/.test(url ?? "");
}

/** Throws a BerthError `not-found` or `bad-link-request` for what no key or token could open. */
export function checkLinkRequest(request: IncomingMessage): void {
  if (!isLinkRequest(request)) throw new BerthError("not-found", "no link is served at this path");
  checkLinkProtocol(request.headers["sec-websocket-protocol"]);
}

/** Answers in place of the upgrade, and ends the connection: `lingerMs` later at the latest, whatever the client does. */
export async function refuseUpgrade(socket: Duplex, reply: Response, lingerMs: number): Promise<void> {
  const body = Buffer.from(await reply.arrayBuffer());
  const fields = [...reply.headers, ["content-length", String(body.length)], ["connection", "close"]];
  const head = [
    `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ""}`,
    ...fields.map(([name, value]) => `${name}: ${value}`),
  ];
  const deadline = setTimeout(() => socket.destroy(), lingerMs);
  socket.once("close", () => clearTimeout(deadline));
  // Not destroyed at once: the reset would overtake the reply where the client has sent more than was read.
  socket.end(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), body]));
  socket.resume();
}
