import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Destination } from "../../client/answers/destination.ts";
import type { ConnectOutcome } from "../../client/connect/connector.ts";
import { destinationText } from "../log-line.ts";
import { judgeFor } from "../policy/judged.ts";
import { logRefusal } from "../refusal.ts";
import type { HttpClient } from "./http-client.ts";
import {
  answerPage,
  type Exchange,
  type ExchangeEnd,
  exchange,
  exchangeText,
  noResponsePage,
} from "./http-exchange.ts";
import { framingFault, hasBody, isLastHop, isLoop, requestFields } from "./http-fields.ts";
import { type HttpPage, httpPage, lastHopPage, refusalPage } from "./http-page.ts";
import type { HttpMeans } from "./http-proxy.ts";
import { absoluteTarget, type HttpTarget, type NoTarget } from "./http-target.ts";
import { countOctets, type HttpUpstreams, type UpstreamHead, type UpstreamKey } from "./http-upstreams.ts";

/** Methods that ask for nothing to be done (RFC 9110 §9.2.1): to ask twice is to ask once. */
const safeMethods = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** A request as it goes to the server. */
interface Forwarded extends Exchange {
  target: HttpTarget;
  head: UpstreamHead;
  key: UpstreamKey;
  upstreams: HttpUpstreams;
  /** It may be sent again after a connection that was kept turned out to be gone. */
  isRepeatable: boolean;
}

/** Answers one request in absolute-form with what its server says, or with a page of our own that says why there is nothing. */
export async function forward(
  client: HttpClient,
  request: IncomingMessage,
  response: ServerResponse,
  means: HttpMeans,
): Promise<void> {
  const target = absoluteTarget(request.method ?? "", request.url ?? "");
  const page = faultPage(request, target, client, means);
  if (page !== undefined || "fault" in target) {
    means.counts.refuse("malformed-request");
    // Where one request is not understood, nobody knows where the next one begins.
    response.shouldKeepAlive = false;
    return void answerPage({ request, response }, page ?? httpPage(400, ""));
  }
  const { method = "", rawHeaders } = request;
  if (isLastHop(method, rawHeaders)) return answerPage({ request, response }, lastHopPage(method, means.via));
  const forwarded = forwardedFrom(client, request, response, target, means);
  const shown = destinationText(target.destination);
  const judgement = judgeFor(client.connection.client, means.policy, means.stub);
  // Asked for each request: over a connection that is kept, nobody else would.
  const denied = judgement.before(target.destination);
  if (denied !== undefined) return refuse(forwarded, denied, means);
  if (forwarded.isRepeatable && forwarded.upstreams.hasKept(forwarded.key)) {
    const { upstreams, head, key } = forwarded;
    const end = await exchange(forwarded, countOctets(upstreams.requestKept(head, key), means.counts));
    // Time that was waited once is not waited again.
    if (typeof end === "string" || end.fault.code === "ETIMEDOUT") {
      means.counts.granted++;
      return answered(forwarded, end, means);
    }
  }
  const outcome = await connectFor(forwarded, judgement.after, means);
  if (response.destroyed) {
    if (outcome.kind === "connected") outcome.upstream.destroy();
    means.log.debug(`${shown}: the client left before an answer`);
    return;
  }
  if (outcome.kind !== "connected") return refuse(forwarded, outcome, means);
  means.counts.granted++;
  answered(forwarded, await send(forwarded, outcome.upstream, means), means);
}

function send(forwarded: Forwarded, upstream: Socket, { counts }: HttpMeans): Promise<ExchangeEnd> {
  const { head, key, upstreams, isRepeatable } = forwarded;
  return exchange(forwarded, countOctets(upstreams.requestOver(upstream, head, key, isRepeatable), counts));
}

/** What keeps a request from being understood in one way, or from going anywhere. */
export function faultPage(
  { rawHeaders }: IncomingMessage,
  target: HttpTarget | NoTarget,
  client: HttpClient,
  { via }: HttpMeans,
): HttpPage | undefined {
  const framing = framingFault(rawHeaders);
  if (framing !== undefined) return httpPage(400, `berth: this request is refused: ${framing}`);
  if ("fault" in target) return httpPage(400, `berth: ${target.fault}`);
  if (isLoop(rawHeaders, via)) return httpPage(508, "berth: this request has come through this proxy before");
  if (!client.isAt(target.destination)) return undefined;
  return httpPage(400, "berth: this is the proxy itself; ask for another address through it");
}

function forwardedFrom(
  client: HttpClient,
  request: IncomingMessage,
  response: ServerResponse,
  target: HttpTarget,
  { via }: HttpMeans,
): Forwarded {
  const { method = "", rawHeaders, httpVersion } = request;
  const { destination, authority, path } = target;
  return {
    request,
    response,
    via,
    target,
    breakOff: () => client.breakOff(),
    upstreams: client.upstreams,
    head: {
      method,
      path,
      fields: requestFields({ method, fields: rawHeaders, authority, httpVersion }, via),
    },
    key: keyOf(destination),
    isRepeatable: safeMethods.has(method) && !hasBody(rawHeaders),
  };
}

function keyOf(destination: Destination): UpstreamKey {
  const { port } = destination;
  return { host: destination.kind === "name" ? destination.name.toLowerCase() : destination.address, port };
}

async function connectFor(
  { response, target }: Forwarded,
  judge: NonNullable<Parameters<HttpMeans["connector"]["connect"]>[1]["judge"]>,
  { connector }: HttpMeans,
): Promise<ConnectOutcome> {
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  response.once("close", leave);
  const outcome = await connector.connect(target.destination, { signal: gone.signal, judge });
  response.off("close", leave);
  return outcome;
}

function answered(forwarded: Forwarded, end: ExchangeEnd, { log }: HttpMeans): void {
  const shown = destinationText(forwarded.target.destination);
  if (typeof end !== "string") answerPage(forwarded, noResponsePage(shown, end.fault));
  log.debug(exchangeText(shown, forwarded.response, end));
}

function refuse(
  forwarded: Forwarded,
  refusal: Exclude<ConnectOutcome, { kind: "connected" }>,
  means: HttpMeans,
): void {
  const shown = destinationText(forwarded.target.destination);
  logRefusal(shown, refusal, means);
  answerPage(forwarded, refusalPage(shown, refusal));
}
