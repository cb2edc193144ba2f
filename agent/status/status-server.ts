import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { formatEndpoint, isLoopbackHost } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { systemClock } from "../clock.ts";
import { serverName } from "./agent-status.ts";
import { Allowance } from "./allowance.ts";
import { boundConnections } from "./bound-connections.ts";
import { type ReplyMeans, replyTo, type StatusSource } from "./status-reply.ts";

export interface StatusServerOptions {
  listen: ListenAddress;
  source: StatusSource;
  log: Log;
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
  let retry: NodeJS.Timeout | undefined;
  let isWarned = false;
  let isClosed = false;

  async function open(): Promise<void> {
    const fault = await listening(server, listen);
    if (isClosed) {
      server.close();
      return;
    }
    if (fault === undefined) {
      const readers = isLoopbackHost(listen.host) ? "" : ", for other machines as well";
      log[isWarned || readers !== "" ? "info" : "debug"](`metrics and status at http://${where}${readers}`);
      return;
    }
    if (!isWarned) log.warn(`nobody can look at metrics and status: ${describeListening(where, fault)}`);
    isWarned = true;
    retry = setTimeout(() => void open(), limits.retryMs);
    retry.unref();
  }

  await open();
  return {
    get address() {
      const bound = server.listening ? (server.address() as AddressInfo) : undefined;
      return bound === undefined ? undefined : { host: listen.host, port: bound.port };
    },
    async close() {
      isClosed = true;
      clearTimeout(retry);
      if (!server.listening) return;
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

function boundedServer({ source, listen, log, now = systemClock.now }: StatusServerOptions): Server {
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
  const means = { source, log, isOpenToOthers: !isLoopbackHost(listen.host), mayExplain };
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

/** Resolves to what stood in the way, or to undefined once it listens. */
function listening(
  server: Server,
  { host, port }: ListenAddress,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const fail = (fault: NodeJS.ErrnoException): void => resolve(fault);
    server.once("error", fail);
    server.listen(port, host, () => {
      server.off("error", fail);
      // Such as EMFILE on accepting: that client is lost. Unheard, the event would end the agent.
      server.on("error", () => undefined);
      resolve(undefined);
    });
  });
}

function describeListening(where: string, fault: NodeJS.ErrnoException): string {
  const mend = "choose another with --status HOST:PORT, or none with --status off";
  if (fault.code === "EADDRINUSE") return `${where} is in use by another program; it is tried again; ${mend}`;
  return `cannot listen on ${where} (${describeFault(fault)}); ${mend}`;
}
