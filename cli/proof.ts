import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import type { ListenAddress } from "../shared/config.ts";
import { RRType } from "../shared/dns/constants.ts";
import { endpointsFromAnswer, serviceOwner } from "../shared/dns/endpoints.ts";
import { type DohServer, queryDoh } from "../shared/doh-client.ts";
import { BerthError } from "../shared/errors.ts";
import type { Name } from "../shared/name.ts";

/** Resolves once `name` has `count` endpoints for port 80; throws a BerthError `not-answered` after 30 s, and at an interruption. */
export async function untilAnswered(
  server: DohServer,
  name: Name,
  count: number,
  interrupted: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    interrupted.throwIfAborted();
    const answer = await queryDoh(server, serviceOwner(name, "tcp", 80), RRType.SRV);
    if (endpointsFromAnswer(answer).endpoints.length >= count) return;
    if (performance.now() > deadline) {
      throw new BerthError(
        "not-answered",
        `${name} has no ${count} endpoints after 30 s; berth ls --problems may say why`,
      );
    }
    await sleep(50);
  }
}

/** The body at `http://<host>/` as a browser behind the proxy gets it: SOCKS5 CONNECT by name (RFC 1928), then HTTP. */
export async function fetchThroughProxy(proxy: ListenAddress, host: string): Promise<string> {
  const socket = connect(proxy.port, proxy.host);
  socket.setTimeout(20_000, () => socket.destroy(new Error(`no answer from ${host} within 20 s`)));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const name = Buffer.from(host);
  const greeting = Buffer.from([5, 1, 0]);
  const request = Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([0, 80])]);
  // All at once: the proxy keeps what comes early, and HTTP/1.0 closes at the end of the page.
  socket.write(Buffer.concat([greeting, request, Buffer.from(`GET / HTTP/1.0\r\nHost: ${host}\r\n\r\n`)]));
  await once(socket, "close");
  const received = Buffer.concat(chunks);
  const rep = received[3];
  if (received.length < 12 || rep !== 0) throw new Error(`the proxy refused ${host} (REP ${rep ?? "none"})`);
  // Method selection (2), then the reply: VER REP RSV ATYP, an IPv4 or IPv6 address, and the port.
  const replyLength = 6 + (received[5] === 4 ? 16 : 4);
  const [head = "", body = ""] = received
    .subarray(2 + replyLength)
    .toString()
    .split("\r\n\r\n");
  if (!head.startsWith("HTTP/1.") || !head.includes(" 200 "))
    throw new Error(`${host} answered "${head.split("\r\n")[0]}"`);
  return body.trim();
}
