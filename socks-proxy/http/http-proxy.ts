import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

import { describeFault } from "../../shared/errors.ts";
import { whenClosed } from "../relay/channel.ts";
import type { ServedConnection } from "../served-connection.ts";
import type { ConnectionContext } from "../server.ts";
import { HttpClient } from "./http-client.ts";
import { userFrom } from "./http-credentials.ts";
import { answerPage } from "./http-exchange.ts";
import { valuesOf } from "./http-fields.ts";
import { forward } from "./http-forward.ts";
import { authenticationPage, type HttpPage, httpPage, pageMessage, refusalPage } from "./http-page.ts";
import { serveConnectRequest, serveUpgrade } from "./http-tunnel.ts";

export type HttpContext = Pick<
  ConnectionContext,
  "connector" | "stub" | "policy" | "users" | "admission" | "times" | "counts" | "log" | "lineLimits"
>;

/** What the parts of the HTTP proxy share. */
export interface HttpMeans extends HttpContext {
  /** The proxy's name in Via fields (RFC 9110 §7.6.3): of this process alone, as by it a request in a circle is known. */
  via: string;
}

export interface HttpProxy {
  /** Serves a client that speaks HTTP, from its first bytes on. Resolves when its connection is closed, and its tunnel too. */
  serve(connection: ServedConnection, early: Uint8Array): Promise<void>;
}

/** Cookies are long; what is longer than this is no request. */
const headOctets = 32_768;

/** The HTTP proxy (RFC 9110 §7.6): CONNECT, and requests in absolute-form, each judged and connected as SOCKS ones are. */
export function createHttpProxy(context: HttpContext): HttpProxy {
  const via = `berth-${randomBytes(4).toString("hex")}`;
  const means: HttpMeans = { ...context, via };
  const clients = new WeakMap<Duplex, HttpClient>();
  const server = parsingServer(clients, means);
  return {
    async serve(connection, early) {
      const client = new HttpClient(connection, early, context.times);
      clients.set(client.stream, client);
      server.emit("connection", client.stream);
      await whenClosed(connection.channel.socket);
      await client.tunnel;
      if (client.user !== undefined) context.admission.releaseUser(client.user);
    },
  };
}

/** Node's own parser and framing; it listens nowhere. Time limits are the client's, as Node's hang on listening. */
function parsingServer(clients: WeakMap<Duplex, HttpClient>, means: HttpMeans): Server {
  const server = createServer({
    maxHeaderSize: headOctets,
    insecureHTTPParser: false,
    requestTimeout: 0,
    keepAliveTimeout: 0,
    // Only what could become another protocol; the body of such a request is never parsed.
    shouldUpgradeCallback: ({ headers }) =>
      !/^h2c/i.test(headers.upgrade ?? "") &&
      !("content-length" in headers) &&
      !("transfer-encoding" in headers),
  });
  // Fields beyond a number would be dropped without a word, Connection ones among them; the size is limited anyway.
  server.maxHeadersCount = 0;
  const clientOf = (stream: Duplex): HttpClient => {
    const client = clients.get(stream);
    if (client === undefined) throw new Error("a request came over no connection of ours");
    return client;
  };
  const answer = (request: IncomingMessage, response: ServerResponse): void =>
    void serveRequest(clientOf(request.socket), request, response, means);
  server.on("request", answer).on("checkContinue", answer);
  server.on("connect", (request, stream, head) => {
    const client = clientOf(stream);
    client.tunnel = served(client, means, () => become(client, request, head, means, serveConnectRequest));
  });
  server.on("upgrade", (request, stream, head) => {
    const client = clientOf(stream);
    client.tunnel = served(client, means, () => become(client, request, head, means, serveUpgrade));
  });
  server.on("clientError", (fault: NodeJS.ErrnoException, stream) =>
    turnAway(clientOf(stream), fault, means),
  );
  return server;
}

async function serveRequest(
  client: HttpClient,
  request: IncomingMessage,
  response: ServerResponse,
  means: HttpMeans,
): Promise<void> {
  response.sendDate = false;
  client.begin();
  await served(client, means, async () => {
    if (!(await client.turn(response))) return;
    const refused = admitted(client, request, means);
    if (refused === undefined) await forward(client, request, response, means);
    else answerPage({ request, response }, refused);
  });
  client.end();
}

type Become = (client: HttpClient, request: IncomingMessage, head: Buffer, means: HttpMeans) => Promise<void>;

/** A tunnel takes the connection over, so nothing else may be under way on it. */
async function become(
  client: HttpClient,
  request: IncomingMessage,
  head: Buffer,
  means: HttpMeans,
  serve: Become,
): Promise<void> {
  // After the last answer nothing more is asked; what is sent all the same is dropped.
  if (client.stream.writableEnded) return void client.stream.resume();
  // An answer that is under way must not look like a whole one.
  if (!client.isFree || client.isAnswering) return void client.breakOff();
  // There is no next request that one of them could be kept for, and the stream's own close will not come any more.
  client.upstreams.close();
  client.begin();
  const refused = admitted(client, request, means);
  if (refused === undefined) return serve(client, request, head, means);
  client.stream.resume().end(pageMessage(refused));
}

/** A page when the client is nobody who may ask. The field never goes further than here. */
function admitted(client: HttpClient, request: IncomingMessage, means: HttpMeans): HttpPage | undefined {
  const { users, admission, counts, log, lineLimits } = means;
  if (users === undefined) return undefined;
  const values = valuesOf(request.rawHeaders, "proxy-authorization");
  const user = userFrom(values, users);
  if (user === undefined) {
    counts.refuse("not-authenticated");
    // Most clients ask once without, to be told.
    const line =
      values.length === 0
        ? undefined
        : lineLimits.turnedAway("a client was turned away: it presents no user's password");
    if (line !== undefined) log.warn(line);
    return authenticationPage();
  }
  if (user === client.user) return undefined;
  const excess = admission.admitUser(user);
  if (excess !== undefined) {
    counts.refuse("too-many");
    return refusalPage("a request", { kind: "too-many", what: excess });
  }
  if (client.user !== undefined) admission.releaseUser(client.user);
  client.user = user;
  return undefined;
}

/** A fault of ours costs its connection, not the proxy. */
async function served(client: HttpClient, { log }: HttpMeans, serve: () => Promise<void>): Promise<void> {
  try {
    await serve();
  } catch (fault) {
    log.error(`an HTTP request ended by a fault of the proxy's own: ${describeFault(fault)}`);
    client.connection.destroy();
  }
}

/** What Node's parser does not take; it reads no further on this connection. */
function turnAway(
  client: HttpClient,
  fault: NodeJS.ErrnoException,
  { counts, log, lineLimits }: HttpMeans,
): void {
  const { stream } = client;
  // It is behind the last request, as that one said itself, whose answer goes its way.
  if (fault.code === "HPE_CLOSED_CONNECTION") return;
  if (fault.code === "ECONNRESET") return void stream.destroy();
  // Told so already, or answered for the last time: to close at once over what it still sends could take that away from it.
  if (!stream.writable) return;
  counts.refuse("malformed-request");
  const line = lineLimits.turnedAway(
    `a client was turned away: what it sent is no HTTP request (${fault.code})`,
  );
  if (line !== undefined) log.warn(line);
  // In the middle of an answer it would be taken for a part of it.
  if (!client.isFree) return void client.breakOff();
  const page =
    fault.code === "HPE_HEADER_OVERFLOW"
      ? httpPage(431, `berth: a request's head has at most ${headOctets} octets here`)
      : httpPage(400, "berth: this is no HTTP/1.1 request as RFC 9112 has it");
  stream.end(pageMessage(page));
}
