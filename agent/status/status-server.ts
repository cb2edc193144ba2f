import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { formatEndpoint, isLoopbackHost } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import type { Log } from "../../shared/log.ts";
import { listenFaultText, listenPatiently } from "../../shared/patient-listener.ts";
import { systemClock } from "../clock.ts";
import { serverName } from "./agent-status.ts";
import { Allowance } from "./allowance.ts";
import { boundConnections } from "./bound-connections.ts";
import { type ReplyMeans, replyTo, type StatusSource } from "./status-reply.ts";

export interface StatusServerOptions {
  listen: ListenAddress;
  source: StatusSource;
  log: Log;
  /** What other machines call this one; matters only where they may connect. */
  ownNames?: readonly string[];
  /** Milliseconds that only ever grow. */
  now?: () => number;
}

export interface StatusServer {
  /** Where it listens; undefined while the port could not be had. */
  readonly address: ListenAddress | undefined;
  /** Stops listening and ends what is open. */
  close(): Promise<void>;
}

/*
 * What everybody on this machine together may take: whoever can connect may ask, so none of these is left to the client. Connections,
 * explanations a second, octets of a request's head, and milliseconds: for its head to arrive, for one whole exchange, between two of them,
 * until a taken port is tried again.
 */
const limits = {
  connections: 64,
  explanations: 4,
  headOctets: 8192,
  headMs: 5_000,
  exchangeMs: 10_000,
  quietMs: 15_000,
  retryMs: 15_000,
};

/**
 * Serves what the agent tells of itself: GET /metrics, /status and /explain?of=. Resolves after the first try to listen and never rejects:
 * an agent nobody can look at still does its work, so a port that is taken is a warning, and is tried again.
 */
export async function createStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { listen, log } = options;
  const server = boundedServer(options);
  const where = formatEndpoint({ address: listen.host, port: listen.port });
  const close = await listenPatiently(server, {
    listen,
    retryMs: limits.retryMs,
    after: afterUnref,
    opened(isLate) {
      const readers = isLoopbackHost(listen.host) ? "" : ", for other machines as well";
      log[isLate || readers !== "" ? "info" : "debug"](`metrics and status at http://${where}${readers}`);
    },
    failed: (fault) =>
      log.warn(`nobody can look at metrics and status: ${listenFaultText(where, fault, "--status")}`),
  });
  return {
    get address() {
      const bound = server.listening ? (server.address() as AddressInfo) : undefined;
      return bound === undefined ? undefined : { host: listen.host, port: bound.port };
    },
    close,
  };
}

function afterUnref(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms).unref();
  return () => clearTimeout(timer);
}

function boundedServer(options: StatusServerOptions): Server {
  const { source, listen, log, now = systemClock.now } = options;
  const settings = {
    maxHeaderSize: limits.headOctets,
    headersTimeout: limits.headMs,
    requestTimeout: limits.exchangeMs,
    keepAliveTimeout: limits.headMs,
    // Node looks for what is overdue this often; its own 30 s would leave a slow client six times its limit.
    connectionsCheckingInterval: 1_000,
  };
  const explanations = new Allowance(limits.explanations, now);
  const mayExplain = (): boolean => explanations.take();
  const ownNames = (options.ownNames ?? []).map((name) => name.toLowerCase());
  const means = { source, log, isOpenToOthers: !isLoopbackHost(listen.host), ownNames, mayExplain };
  const server = createServer(settings, (request, response) => {
    // A client that takes its reply octet by octet is never quiet.
    const deadline = setTimeout(() => request.socket.destroy(), limits.exchangeMs);
    response.once("close", () => clearTimeout(deadline));
    answer(request, response, means);
  });
  boundConnections(server, limits.connections);
  // Also before the first octet of a request.
  server.setTimeout(limits.quietMs, (socket) => socket.destroy());
  return server;
}

function answer(request: IncomingMessage, response: ServerResponse, means: ReplyMeans): void {
  const { method = "", url = "", headersDistinct } = request;
  const hosts = headersDistinct.host ?? [];
  const hasBody =
    "transfer-encoding" in headersDistinct || !/^0*$/.test(request.headers["content-length"] ?? "");
  const asked = { method, target: url, host: hosts.length === 1 ? (hosts[0] ?? "") : "", hasBody };
  const { status, type, text, headers } = replyTo(asked, means);
  const body = Buffer.from(text);
  response.writeHead(status, {
    "content-type": type,
    "content-length": body.length,
    // By which berth's own commands tell an agent from whatever else has the port.
    server: serverName,
    // A page of some web site must neither read this nor keep it.
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    // What was refused may have a body that nobody wants to read.
    ...(status === 200 ? {} : { connection: "close" }),
    ...headers,
  });
  response.end(body);
}
