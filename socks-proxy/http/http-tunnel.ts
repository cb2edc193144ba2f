import { request as httpRequest, type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connectFor, relayFor, type Upstream } from "../connect-command.ts";
import { destinationText } from "../log-line.ts";
import { logRefusal } from "../refusal.ts";
import { type ChannelDuplex, duplexOf } from "../relay/channel-duplex.ts";
import { endConnection } from "../relay/connection-end.ts";
import type { HttpClient } from "./http-client.ts";
import { answerPage, exchange, exchangeText, noResponsePage } from "./http-exchange.ts";
import { isLastHop, requestFields, responseFields, valuesOf } from "./http-fields.ts";
import { faultPage } from "./http-forward.ts";
import { type HttpPage, lastHopPage, messageHead, pageMessage, refusalPage } from "./http-page.ts";
import type { HttpMeans } from "./http-proxy.ts";
import { absoluteTarget, connectTarget, type HttpTarget } from "./http-target.ts";
import { argumentsOf } from "./http-upstreams.ts";

type Connected = Extract<Upstream, { kind: "connected" }>;

/** CONNECT (RFC 9110 §9.3.6): connects, then answers, then relays, with what came behind the request going first. */
export async function serveConnectRequest(
  client: HttpClient,
  request: IncomingMessage,
  head: Buffer,
  means: HttpMeans,
): Promise<void> {
  const target = connectTarget(request.url ?? "");
  const page = faultPage(request, target, client, means);
  if (page !== undefined || "fault" in target) return endWith(client, page);
  const upstream = await connected(client, target, means);
  if (upstream === undefined) return;
  const { channel, early } = client.stream.release();
  channel.socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
  await relayFor(client.connection, target.destination, upstream, Buffer.concat([head, early]), means);
}

/** A request to speak another protocol on the same connection (RFC 9110 §7.8), such as a WebSocket's; the server decides. */
export async function serveUpgrade(
  client: HttpClient,
  request: IncomingMessage,
  head: Buffer,
  means: HttpMeans,
): Promise<void> {
  const { method = "", url = "", rawHeaders } = request;
  const target = absoluteTarget(method, url);
  const page = faultPage(request, target, client, means);
  if (page !== undefined || "fault" in target) return endWith(client, page);
  if (isLastHop(method, rawHeaders)) return endWith(client, lastHopPage(method, means.via));
  const upstream = await connected(client, target, means);
  if (upstream === undefined) return;
  const upstreamStream = duplexOf(upstream.channel, new Uint8Array(0));
  // Between the server's agreement and the relay nobody else listens; unheard, the event would end the process.
  upstreamStream.on("error", () => {});
  const response = responseOver(client, request);
  const asking = httpRequest({
    ...argumentsOf(upgradeHead(request, target, means.via), { host: "", port: 0 }, means.times.idle),
    createConnection: () => upstreamStream,
  });
  const switched = new Promise<{ incoming: IncomingMessage; first: Buffer } | undefined>((resolve) => {
    asking.once("upgrade", (incoming, _, first) => resolve({ incoming, first }));
    asking.once("close", () => resolve(undefined));
  });
  const parts = { request, response, via: means.via, breakOff: () => client.breakOff() };
  const plain = exchange(parts, asking);
  const outcome = await Promise.race([switched, plain]);
  if (typeof outcome === "object" && "incoming" in outcome) {
    return speakAnother(client, target, { ...upstream, stream: upstreamStream }, outcome, head, means);
  }
  const end = await plain;
  const shown = destinationText(target.destination);
  if (typeof end === "object") answerPage(parts, noResponsePage(shown, end.fault));
  const { bytesWritten, bytesRead } = upstream.channel.socket;
  means.counts.bytesUp += bytesWritten;
  means.counts.bytesDown += bytesRead;
  means.log.debug(exchangeText(shown, response, end));
  // What the client meant for the other protocol; unread, it would make a reset of the end.
  client.stream.resume().end();
}

/** Both sides are free of HTTP from here on. */
async function speakAnother(
  client: HttpClient,
  { destination }: HttpTarget,
  upstream: Connected & { stream: ChannelDuplex },
  { incoming, first }: { incoming: IncomingMessage; first: Buffer },
  head: Buffer,
  means: HttpMeans,
): Promise<void> {
  const { statusMessage = "", rawHeaders, httpVersion } = incoming;
  const fields = [
    ...responseFields(rawHeaders, httpVersion, means.via),
    ...["Connection", "Upgrade", "Upgrade", valuesOf(rawHeaders, "upgrade").join(", ")],
  ];
  const fromServer = upstream.stream.release().early;
  const { channel, early } = client.stream.release();
  channel.socket.write(messageHead(`HTTP/1.1 101 ${statusMessage}`, fields), "latin1");
  if (first.length + fromServer.length > 0) channel.socket.write(Buffer.concat([first, fromServer]));
  await relayFor(client.connection, destination, upstream, Buffer.concat([head, early]), means);
}

function upgradeHead(
  { method = "", rawHeaders, httpVersion }: IncomingMessage,
  target: HttpTarget,
  via: string,
) {
  const fields = [
    ...requestFields({ method, fields: rawHeaders, authority: target.authority, httpVersion }, via),
    ...["Connection", "Upgrade", "Upgrade", valuesOf(rawHeaders, "upgrade").join(", ")],
  ];
  return { method, path: target.path, fields };
}

/** For a server that answers instead: Node's own server has let go of this connection. */
function responseOver({ stream }: HttpClient, request: IncomingMessage): ServerResponse {
  const response = new ServerResponse(request);
  response.sendDate = false;
  response.shouldKeepAlive = false;
  response.assignSocket(stream as Duplex as Socket);
  return response;
}

async function connected(
  client: HttpClient,
  target: HttpTarget,
  means: HttpMeans,
): Promise<Connected | undefined> {
  const upstream = await connectFor(client.connection, target.destination, means);
  const shown = destinationText(target.destination);
  if (client.stream.destroyed) {
    if (upstream.kind === "connected") upstream.channel.socket.destroy();
    means.log.debug(`${shown}: the client left before an answer`);
    return undefined;
  }
  if (upstream.kind === "connected") return upstream;
  logRefusal(shown, upstream, means);
  await endWith(client, refusalPage(shown, upstream));
  return undefined;
}

/** The answer is the last thing on this connection. */
async function endWith(client: HttpClient, page: HttpPage | undefined): Promise<void> {
  const { channel } = client.stream.release();
  await endConnection(channel, page === undefined ? undefined : Buffer.from(pageMessage(page)));
}
