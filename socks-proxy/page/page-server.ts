import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { formatEndpoint } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import type { Log } from "../../shared/log.ts";
import { listenFaultText, listenPatiently } from "../../shared/patient-listener.ts";
import { type PageSource, pageReply } from "./page-reply.ts";

export interface RunningPage {
  /** Where it listens; undefined while the port could not be had. */
  readonly address: ListenAddress | undefined;
  /** Stops listening and ends what is open. */
  close(): Promise<void>;
}

/*
 * What everybody on this machine together may take. Connections, octets of a request's head, and milliseconds: for its head to arrive,
 * without a byte, and until a taken port is tried again.
 */
const limits = { connections: 64, headOctets: 8192, headMs: 5_000, quietMs: 10_000, retryMs: 15_000 };

/**
 * Serves the proxy's page: status for people and programs, metrics, and the browsers' automatic configuration. Resolves after the first
 * try to listen and never rejects: a proxy nobody can look at still connects, so a port that is taken is a warning, and is tried again.
 */
export async function startPage(listen: ListenAddress, source: PageSource, log: Log): Promise<RunningPage> {
  const server = boundedServer(source, log);
  const where = formatEndpoint({ address: listen.host, port: listen.port });
  const close = await listenPatiently(server, {
    listen,
    retryMs: limits.retryMs,
    after: afterUnref,
    opened() {
      const { port } = server.address() as AddressInfo;
      log.info(`page at http://${formatEndpoint({ address: listen.host, port })}/, for browsers /proxy.pac`);
    },
    failed: (fault) =>
      log.warn(`the proxy's page cannot be served: ${listenFaultText(where, fault, "--page")}`),
  });
  return {
    get address() {
      const bound = server.listening ? (server.address() as AddressInfo) : undefined;
      return bound === undefined ? undefined : { host: bound.address, port: bound.port };
    },
    close,
  };
}

function afterUnref(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms).unref();
  return () => clearTimeout(timer);
}

function boundedServer(source: PageSource, log: Log): Server {
  const settings = {
    maxHeaderSize: limits.headOctets,
    headersTimeout: limits.headMs,
    requestTimeout: limits.quietMs,
    keepAliveTimeout: limits.headMs,
    // Node looks for what is overdue this often; its own 30 s would leave a slow client six times its limit.
    connectionsCheckingInterval: 1_000,
  };
  const server = createServer(settings, (request, response) => answer(request, response, source, log));
  server.maxConnections = limits.connections;
  // Also before the first octet of a request.
  server.setTimeout(limits.quietMs, (socket) => socket.destroy());
  return server;
}

function answer(request: IncomingMessage, response: ServerResponse, source: PageSource, log: Log): void {
  const { method = "", url = "", headersDistinct } = request;
  const hosts = headersDistinct.host ?? [];
  const host = hosts.length === 1 ? (hosts[0] ?? "") : "";
  const { status, type, text, headers } = pageReply({ method, target: url, host }, source, log);
  const body = Buffer.from(text);
  response.writeHead(status, {
    "content-type": type,
    "content-length": body.length,
    // A page of some web site must neither read this, show it as its own nor keep it; and nothing in it is to be run.
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    // What was refused may have a body that nobody wants to read.
    ...(status === 200 ? {} : { connection: "close" }),
    ...headers,
  });
  response.end(body);
}
