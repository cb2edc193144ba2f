import type {
  ClientRequest,
  IncomingMessage,
  InformationEvent,
  OutgoingMessage,
  ServerResponse,
} from "node:http";
import type { Socket } from "node:net";

import {
  framingFault,
  hasBody,
  isChunkedMessage,
  isFramed,
  responseFields,
  trailerFields,
  withoutTrailerField,
} from "./http-fields.ts";
import { type HttpPage, httpPage, messageHead, pageFields } from "./http-page.ts";

/** A request of a client, and what will answer it. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** This proxy's name in Via fields. */
  via: string;
  /** Breaks the client's connection off, so that it cannot take what it got for the whole. */
  breakOff(): void;
}

/** As Node's parser has it. */
const noHttp = "NO_HTTP";

export type ExchangeEnd =
  | "answered"
  | "broken-off"
  | "client-gone"
  | { kind: "no-response"; fault: Error & { code?: string } };

/**
 * Sends the client's body to `upstream` and its response to the client: both with their trailers, as fast as the slower side takes
 * them, and with 1xx responses on the way. `no-response` leaves the client unanswered.
 */
export async function exchange(parts: Exchange, upstream: ClientRequest): Promise<ExchangeEnd> {
  const { request, response } = parts;
  const { promise, resolve } = Promise.withResolvers<ExchangeEnd>();
  // After the response has begun, what goes wrong with the request shows in the response.
  upstream.on("error", (fault) => resolve({ kind: "no-response", fault }));
  upstream.on("timeout", () =>
    upstream.destroy(Object.assign(new Error("it was silent too long"), { code: "ETIMEDOUT" })),
  );
  upstream.on("information", (information) => sendInformation(parts, information));
  // Without a fault when it was answered with another protocol, which nobody asked for.
  upstream.once("close", () =>
    resolve({ kind: "no-response", fault: new Error("it ended without a response") }),
  );
  upstream.once("response", (incoming) => resolve(sendResponse(parts, upstream, incoming)));
  const leave = (): void => {
    if (!response.writableFinished) resolve("client-gone");
    upstream.destroy();
  };
  response.once("close", leave);
  sendBody(request, upstream);
  const end = await promise;
  response.off("close", leave);
  return end;
}

/** The proxy's own answer, in the place of an upstream one. */
export function answerPage(
  { request, response }: Pick<Exchange, "request" | "response">,
  page: HttpPage,
): void {
  if (response.destroyed) return;
  const fields = [...pageFields(page), ...(isRead(request) ? [] : ["Connection", "close"])];
  response.writeHead(page.status, page.phrase, fields);
  if (request.method !== "HEAD") response.write(page.text);
  response.end();
}

function sendBody(request: IncomingMessage, upstream: ClientRequest): void {
  if (!hasBody(request.rawHeaders)) {
    request.resume();
    upstream.end();
    return;
  }
  // A client that waits for 100 (Continue) waits for the server's.
  sendHead(upstream);
  request.pipe(upstream, { end: false });
  request.once("end", () => {
    if (upstream.destroyed) return;
    const trailers = trailerFields(request.rawTrailers);
    if (trailers.length > 0) upstream.addTrailers(trailers);
    upstream.end();
  });
  // A body that was cut off must not look like one that ended.
  request.once("error", () => upstream.destroy());
  upstream.once("close", () => {
    request.unpipe(upstream);
    request.resume();
  });
}

async function sendResponse(
  parts: Exchange,
  upstream: ClientRequest,
  incoming: IncomingMessage,
): Promise<ExchangeEnd> {
  const { request, response, via, breakOff } = parts;
  if (response.destroyed) return "client-gone";
  const { statusCode = 0, statusMessage = "", rawHeaders, httpVersion } = incoming;
  // Nobody asked for another protocol, whose octets the client would take for our answers (RFC 9110 §15.2.2).
  const fault = statusCode < 200 ? `${statusCode} is no final status` : framingFault(rawHeaders);
  if (fault !== undefined) {
    upstream.destroy();
    return { kind: "no-response", fault: Object.assign(new Error(fault), { code: noHttp }) };
  }
  const passed = responseFields(rawHeaders, httpVersion, via);
  const fields = mayHaveTrailers(request, incoming) ? passed : withoutTrailerField(passed);
  // What is left of a body would be taken for the next request.
  const closing = isRead(request) ? [] : ["Connection", "close"];
  try {
    response.writeHead(statusCode, statusMessage, [...fields, ...closing]);
  } catch (fault) {
    upstream.destroy();
    return { kind: "no-response", fault: fault as Error };
  }
  sendHead(response);
  const { promise, resolve } = Promise.withResolvers<ExchangeEnd>();
  incoming.pipe(response, { end: false });
  incoming.once("error", () => {});
  incoming.once("close", () => resolve(isWhole(incoming) ? "answered" : "broken-off"));
  response.once("close", () => resolve("client-gone"));
  const end = await promise;
  if (end === "broken-off") breakOff();
  if (end !== "answered") return end;
  const trailers = trailerFields(incoming.rawTrailers);
  if (trailers.length > 0) response.addTrailers(trailers);
  response.end();
  return "answered";
}

/** Whether the response goes to the client in chunks, as it came. */
function mayHaveTrailers({ method, httpVersion }: IncomingMessage, incoming: IncomingMessage): boolean {
  const hasNoBody = method === "HEAD" || incoming.statusCode === 204 || incoming.statusCode === 304;
  return isChunkedMessage(incoming.rawHeaders) && httpVersion === "1.1" && !hasNoBody;
}

/** Where only the end of its connection ends a body, Node takes a reset for that end too. */
function isWhole(incoming: IncomingMessage): boolean {
  // It has none any more when that was given back, to be used again.
  const socket = incoming.socket as Socket | null;
  const isCut = socket !== null && socket.errored !== null && !isFramed(incoming.rawHeaders);
  return incoming.complete && !isCut;
}

/** At once, before its body. Node's `flushHeaders` would send octets beyond ASCII, which are Latin-1 here, as UTF-8. */
function sendHead(message: OutgoingMessage): void {
  message.write("", "latin1");
}

/** Nothing of it is still to come. Of one without a body Node says so a moment late. */
function isRead(request: IncomingMessage): boolean {
  return request.complete || !hasBody(request.rawHeaders);
}

/** RFC 9110 §15.2: passed on, to clients that know them. */
function sendInformation({ request, response, via }: Exchange, information: InformationEvent): void {
  const { statusCode, statusMessage, rawHeaders, httpVersion } = information;
  // Without a socket it is not this response's turn yet.
  if (request.httpVersion !== "1.1" || response.headersSent || response.socket === null) return;
  // Nobody waits for it who did not ask.
  if (statusCode === 100 && request.headers.expect === undefined) return;
  const fields =
    statusCode === 100 ? [] : responseFields(rawHeaders as unknown as string[], httpVersion, via);
  response.socket.write(messageHead(`HTTP/1.1 ${statusCode} ${statusMessage}`, fields), "latin1");
}

/** The log's words for a request that led to an endpoint; what was asked there is its client's own business. */
export function exchangeText(shown: string, { headersSent, statusCode }: ServerResponse, end: ExchangeEnd) {
  const status = headersSent ? `status ${statusCode}` : "no status";
  return `${shown}: ${status}, ${typeof end === "string" ? end : end.kind}`;
}

/** When a server did not answer. */
export function noResponsePage(shown: string, fault: Error & { code?: string }): HttpPage {
  if (fault.code === "ETIMEDOUT") return httpPage(504, `berth: ${shown}: the server was silent too long`);
  if (fault.code === noHttp)
    return httpPage(502, `berth: ${shown}: what the server sent is no HTTP: ${fault.message}`);
  // What Node does not parse, or would not write.
  if (/^(?:HPE|ERR)_/.test(fault.code ?? ""))
    return httpPage(502, `berth: ${shown}: what the server sent is no HTTP (${fault.code})`);
  return httpPage(502, `berth: ${shown}: the server closed the connection before it answered`);
}
