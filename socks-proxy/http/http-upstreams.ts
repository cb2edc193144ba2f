import { Agent, type ClientRequest, type ClientRequestArgs, request } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

import { noticeVanishing } from "../../client/connect/keep-alive.ts";
import { parseAddress } from "../../shared/address.ts";
import type { ProxyCounts } from "../counts.ts";

/** The part of a request's head that is for the server at the other end. */
export interface UpstreamHead {
  method: string;
  path: string;
  fields: string[];
}

type Octets = Pick<ProxyCounts, "bytesUp" | "bytesDown">;

/** Which connections serve the same: the destination as the client wrote it, in small letters. */
export interface UpstreamKey {
  host: string;
  port: number;
}

/** Most servers close what is quiet for 5 s; a request must not meet that close half way. */
const quietMs = 4_000;
const keptPerDestination = 8;
/** Of one client connection, which may ask for many names in these few seconds. */
const mostKept = 32;

/**
 * One client connection's connections to servers behind the proxy. They are kept for a few seconds after a request, for the next one to the
 * same destination: a page's parts then need one connection, and not one each. No other client gets one: where this one may go another
 * need not be let, and some servers take a connection for a person (RFC 4559 §4.1).
 */
export class HttpUpstreams {
  readonly #idleMs: number;
  readonly #kept = new HandedAgent({ keepAlive: true, maxFreeSockets: keptPerDestination, timeout: quietMs });
  readonly #once = new HandedAgent({ keepAlive: false });

  /** A request over which no byte comes or goes for `idleMs` milliseconds emits `timeout`; Infinity for never. */
  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  /** Whether a connection that was kept could serve the next request. */
  hasKept(key: UpstreamKey): boolean {
    return this.#kept.freeSockets[this.#kept.getName(key)]?.some(({ destroyed }) => !destroyed) ?? false;
  }

  /** Over a connection that was kept. It may be gone by the time the server reads; the request then fails with `reusedSocket` set. */
  requestKept(head: UpstreamHead, key: UpstreamKey): ClientRequest {
    return request({ ...argumentsOf(head, key, this.#idleMs), agent: this.#kept });
  }

  /** Over `socket`, which is kept afterwards if `keep`. */
  requestOver(socket: Socket, head: UpstreamHead, key: UpstreamKey, keep: boolean): ClientRequest {
    // A kept connection that the server ends has to close as a whole.
    socket.allowHalfOpen = false;
    const agent = keep ? this.#kept : this.#once;
    return agent.handing(socket, () => request({ ...argumentsOf(head, key, this.#idleMs), agent }));
  }

  close(): void {
    this.#kept.destroy();
    this.#once.destroy();
  }
}

/** Adds to `counts`, when the request is over, what went over its connection for it alone: others may have used that before. */
export function countOctets(asked: ClientRequest, counts: Octets): ClientRequest {
  asked.once("socket", (socket) => {
    const { bytesWritten, bytesRead } = socket;
    asked.once("close", () => {
      counts.bytesUp += socket.bytesWritten - bytesWritten;
      counts.bytesDown += socket.bytesRead - bytesRead;
    });
  });
  return asked;
}

/** A request's settings that are ours whatever it asks for. `idleMs` as of HttpUpstreams. */
export function argumentsOf(
  { method, path, fields }: UpstreamHead,
  { host, port }: UpstreamKey,
  idleMs: number,
): ClientRequestArgs {
  return {
    method,
    path,
    headers: fields,
    host,
    port,
    setHost: false,
    timeout: Number.isFinite(idleMs) ? idleMs : 0,
    insecureHTTPParser: false,
    maxHeaderSize: 65_536,
  };
}

/** Takes a connection that is there already, instead of making one. */
class HandedAgent extends Agent {
  #handed: Socket | undefined;

  /** `make` asks for a connection within the call; when one that was kept is taken instead, `socket` is not needed and is closed. */
  handing(socket: Socket, make: () => ClientRequest): ClientRequest {
    this.#handed = socket;
    try {
      return make();
    } finally {
      this.#handed?.destroy();
      this.#handed = undefined;
    }
  }

  /** Node closes what is not to be kept; its types do not know that it asks. */
  override keepSocketAlive(socket: Duplex): boolean {
    const kept = Object.values(this.freeSockets).reduce((sum, sockets = []) => sum + sockets.length, 0);
    if (kept >= mostKept || !(super.keepSocketAlive(socket) as unknown as boolean)) return false;
    // In the place of Node's own keep-alive, which would end a long answer when the network is away for ten seconds.
    const peer = parseAddress((socket as Socket).remoteAddress ?? "");
    if (peer !== undefined) noticeVanishing(socket as Socket, peer);
    return true;
  }

  override createConnection(): Socket {
    const socket = this.#handed;
    // A kept one that was there a moment ago: the request fails as one over a kept connection does.
    if (socket === undefined)
      throw Object.assign(new Error("no connection was handed over"), { code: "ECONNRESET" });
    this.#handed = undefined;
    return socket;
  }
}
