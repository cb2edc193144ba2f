import { createServer as createHttpServer, type Server as HttpServer } from "node:http";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";

import { formatEndpoint } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { ServerCertificate } from "./authority.ts";

export type FetchCallback = (request: Request) => Response | Promise<Response>;

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

/** https with HTTP/2 and HTTP/1.1 chosen by ALPN. Throws a BerthError `port-in-use` or `cannot-listen`. */
export async function listenHttps(
  fetch: FetchCallback,
  at: ListenAddress,
  certificate: ServerCertificate,
  log: Log,
): Promise<SecureTransport> {
  const server = createSecureServer({ ...certificate, allowHTTP1: true, minVersion: "TLSv1.2" });
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.on("request", getRequestListener(fetch, { overrideGlobalObjects: false }));
  const transport = await listen(server, at, log, () => {
    for (const session of sessions) session.destroy();
  });
  return { ...transport, setCertificate: (next) => server.setSecureContext(next) };
}

/** Plain HTTP/1.1. Throws a BerthError `port-in-use` or `cannot-listen`. */
export async function listenHttp(fetch: FetchCallback, at: ListenAddress, log: Log): Promise<Transport> {
  const server = createHttpServer(getRequestListener(fetch, { overrideGlobalObjects: false }));
  return listen(server, at, log, () => undefined);
}

async function listen(
  server: HttpServer | Http2SecureServer,
  at: ListenAddress,
  log: Log,
  endSessions: () => void,
): Promise<Transport> {
  const sockets = new Set<Socket>();
  const remember = (socket: Socket): void => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
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
