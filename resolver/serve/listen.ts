import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";

import { formatEndpoint } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { ServerCertificate } from "./authority.ts";

/** `connection` is what `peerOf` reads: whoever serves requests by `env` has it there. */
export type FetchCallback = (request: Request, connection?: object) => Response | Promise<Response>;

/** A listening transport: bytes in, bytes out. */
export interface Transport {
  address: ListenAddress;
  /** Stops accepting and ends what is open. */
  close(): Promise<void>;
}

export interface SecureTransport extends Transport {
  /** For connections from now on. */
  setCertificate(certificate: ServerCertificate): void;
}

/** What a transport lets happen besides ordinary exchanges. */
export interface TransportUses {
  /** Upgrades to take; all others are ignored, and answered as the requests they are (RFC 9110 §7.8). */
  upgrades?: {
    wants(request: IncomingMessage): boolean;
    upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  };
  /** Whether an exchange at this path may last while octets flow: a feed, or a large file. The app refuses strangers there at once. */
  mayLast?(path: string): boolean;
}

/*
 * What one peer may take. Lookups are open to whoever reaches the resolver, so none of these may be left to the client: streams of one
 * connection, connections, the time of one exchange (ms), of an HTTP/1.1 request that may last (ms), and how long a connection may be
 * quiet (ms).
 */
const limits = {
  streams: 100,
  connections: 512,
  exchangeMs: 60_000,
  lastingMs: 3_600_000,
  quietMs: 120_000,
  closingMs: 5000,
};

/** The other end of the connection that a request came on, over any of these transports; undefined once it is closed. */
export function peerOf({ env }: { env: { incoming?: IncomingMessage } | undefined }): string | undefined {
  return env?.incoming?.socket.remoteAddress;
}

/** https with HTTP/2 and HTTP/1.1 chosen by ALPN. Throws a BerthError `port-in-use` or `cannot-listen`. */
export async function listenHttps(
  fetch: FetchCallback,
  at: ListenAddress,
  certificate: ServerCertificate,
  log: Log,
  uses: TransportUses = {},
): Promise<SecureTransport> {
  const settings = { maxConcurrentStreams: limits.streams };
  const server = createSecureServer({ ...certificate, settings, allowHTTP1: true, minVersion: "TLSv1.2" });
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.setTimeout(limits.quietMs, () => {
      session.close();
      // A peer that never ends its side would keep the connection half closed.
      setTimeout(() => session.destroy(), limits.closingMs).unref();
    });
  });
  server.on("request", boundedListener(fetch, uses));
  takeUpgrades(server, uses);
  const transport = await listen(server, at, log, () => {
    for (const session of sessions) session.destroy();
  });
  return { ...transport, setCertificate: (next) => server.setSecureContext(next) };
}

/** Plain HTTP/1.1. Throws a BerthError `port-in-use` or `cannot-listen`. */
export async function listenHttp(
  fetch: FetchCallback,
  at: ListenAddress,
  log: Log,
  uses: TransportUses = {},
): Promise<Transport> {
  const server = createHttpServer(boundedListener(fetch, uses));
  takeUpgrades(server, uses);
  return listen(server, at, log, () => undefined);
}

/** Ends an exchange that takes too long. (A body that was answered unread is @hono/node-server's to cut off.) */
function boundedListener(fetch: FetchCallback, uses: TransportUses): ReturnType<typeof getRequestListener> {
  const listener = getRequestListener(fetch, { overrideGlobalObjects: false });
  return (request, response) => {
    const end = () => void request.destroy();
    if (uses.mayLast?.(request.url?.split("?")[0] ?? "")) request.setTimeout(limits.quietMs, end);
    else {
      const deadline = setTimeout(end, limits.exchangeMs);
      response.once("close", () => clearTimeout(deadline));
    }
    return listener(request, response);
  };
}

/** Node knows both properties on either server and asks them for every HTTP/1.1 request; only its types lack them for the secure one. */
function takeUpgrades(server: HttpServer | Http2SecureServer, { upgrades }: TransportUses): void {
  Object.assign(server, {
    requestTimeout: limits.lastingMs,
    shouldUpgradeCallback: (request: IncomingMessage) => upgrades?.wants(request) ?? false,
  });
  if (upgrades !== undefined) {
    (server as HttpServer).on("upgrade", (request, socket, head) => upgrades.upgrade(request, socket, head));
  }
}

async function listen(
  server: HttpServer | Http2SecureServer,
  at: ListenAddress,
  log: Log,
  endSessions: () => void,
): Promise<Transport> {
  const sockets = new Set<Socket>();
  const countByPeer = new Map<string, number>();
  const remember = (socket: Socket): void => {
    const peer = socket.remoteAddress ?? "";
    const count = (countByPeer.get(peer) ?? 0) + 1;
    countByPeer.set(peer, count);
    sockets.add(socket);
    socket.once("close", () => {
      sockets.delete(socket);
      const left = (countByPeer.get(peer) ?? 1) - 1;
      if (left === 0) countByPeer.delete(peer);
      else countByPeer.set(peer, left);
    });
    // By peer, so that one of them shuts out nobody else.
    if (count > limits.connections) socket.destroy();
    else socket.setNoDelay(true);
  };
  server.on("connection", remember);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => reject(listenFault(at, cause)));
    server.listen(at.port, at.host, () => resolve());
  });
  // Such as EMFILE on accepting: that client is lost, the next may not be. Unheard, the event would end the process.
  server.on("error", (fault) => log.warn(`a client could not be accepted: ${describeFault(fault)}`));
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    await new Promise((resolve) => {
      server.close(resolve);
      endSessions();
      for (const socket of sockets) socket.destroy();
    });
  };
  return { address: { host: at.host, port }, close };
}

function listenFault(at: ListenAddress, cause: NodeJS.ErrnoException): BerthError {
  const where = formatEndpoint({ address: at.host, port: at.port });
  if (cause.code === "EADDRINUSE") {
    const message = `${where} is in use by another program; stop it, or choose another with --listen HOST:PORT`;
    return new BerthError("port-in-use", message, { who: where, cause });
  }
  const mend =
    "choose an address of this machine, and a port above 1023 unless root, with --listen HOST:PORT";
  return new BerthError("cannot-listen", `cannot listen on ${where}; ${mend}`, { who: where, cause });
}
