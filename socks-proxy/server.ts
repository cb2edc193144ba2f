import type { Socket } from "node:net";
import { connectFirst } from "../client/connect.ts";
import { endpointsFor, type Resolvers } from "../client/destination.ts";
import { candidatesOf } from "../client/endpoint-order.ts";
import { type Address, formatEndpoint, parseAddress } from "../shared/address.ts";
import type { Log } from "../shared/log.ts";
import type { LineLimit } from "./line-limit.ts";
import { destinationText, handshakeText, refusalText } from "./log-line.ts";
import { type Negotiation, negotiate } from "./negotiate.ts";
import { relay } from "./relay.ts";
import { type Refusal, replyCodeFor } from "./reply.ts";
import { type BoundAddress, Command, encodeReply, Rep } from "./wire.ts";

export interface ConnectionContext {
  resolvers: Resolvers;
  limits: ConnectionLimits;
  log: Log;
  lineLimits: LineLimits;
}

/** What repeats with every attempt of a client, and must not fill the log. */
export interface LineLimits {
  /** Clients that did not get as far as a request. */
  turnedAway: LineLimit;
  /** Requests that were not granted. */
  refused: LineLimit;
  /** Requests that came to nothing for want of a token: a person must mend that, and one line tells them. */
  noToken: LineLimit;
}

/** Milliseconds. */
export interface ConnectionLimits {
  handshake: number;
  /** All that one name needs to be asked. */
  resolve: number;
  /** All endpoints together. */
  connect: number;
  idle: number;
}

/** RFC 1928 §6 allows 10 s between a reply that refuses and the end of the connection; a client on this machine needs no more. */
const lingerMs = 1_000;
const unspecified: BoundAddress = { address: "0.0.0.0" as Address, port: 0 };

/** Serves one accepted connection, which must allow half-close. Resolves when it is closed, and its upstream too. */
export async function serveConnection(client: Socket, context: ConnectionContext): Promise<void> {
  const { resolvers, limits, log } = context;
  const gone = whenGone(client);

  const negotiation = await negotiate(client, limits.handshake);
  if (negotiation.kind !== "request") return endHandshake(client, negotiation, context);
  const { command, destination } = negotiation.request;
  const shown = destinationText(destination);
  if (command !== Command.Connect)
    return refuse(client, shown, { kind: "command-not-supported", command }, context);

  const resolveSignal = AbortSignal.any([gone, AbortSignal.timeout(limits.resolve)]);
  const resolution = await endpointsFor(destination, resolvers, resolveSignal);
  if (resolution.kind !== "endpoints") return refuse(client, shown, resolution, context);

  const candidates = candidatesOf(resolution.endpoints, Math.random);
  const connection = await connectFirst(candidates, { timeoutMs: limits.connect, signal: gone });
  if (connection.kind !== "connected") return refuse(client, shown, connection, context);

  const { upstream, candidate } = connection;
  client.write(encodeReply(Rep.Succeeded, boundAddressOf(upstream)));

  const relayEnd = await relay(client, upstream, limits.idle);
  const { bytesWritten, bytesRead } = upstream;
  log.debug(
    `${shown} at ${formatEndpoint(candidate)}: ${bytesWritten} bytes up, ${bytesRead} down, ${relayEnd}`,
  );
}

/** Aborts when the client's connection closes. The end of its direction alone does not count: it may still wait for an answer. */
function whenGone(client: Socket): AbortSignal {
  const gone = new AbortController();
  // The close event follows every fault; a fault without a listener would end the process.
  client.on("error", () => {});
  client.once("close", () => gone.abort());
  return gone.signal;
}

async function endHandshake(
  client: Socket,
  negotiation: Exclude<Negotiation, { kind: "request" }>,
  context: ConnectionContext,
): Promise<void> {
  switch (negotiation.kind) {
    case "address-type-not-supported":
    case "malformed-request":
      return refuse(client, "a request", negotiation, context);
    case "no-acceptable-method":
      logTurnedAway(negotiation, context);
      return endConnection(client);
    case "client-gone":
      // Port scans and health checks do no more than this.
      context.log.debug(handshakeText(negotiation));
      return endConnection(client);
    case "not-socks5":
    case "handshake-timeout":
      logTurnedAway(negotiation, context);
      client.destroy();
  }
}

function logTurnedAway(
  negotiation: Parameters<typeof handshakeText>[0],
  { log, lineLimits }: ConnectionContext,
): void {
  const line = lineLimits.turnedAway(`a client was turned away: ${handshakeText(negotiation)}`);
  if (line !== undefined) log.warn(line);
}

async function refuse(
  client: Socket,
  shown: string,
  refusal: Refusal,
  context: ConnectionContext,
): Promise<void> {
  // Steps that the client's leaving cut short report a refusal as well.
  if (client.destroyed) context.log.debug(`${shown}: the client left before a reply`);
  else logRefusal(shown, refusal, context);
  await endConnection(client, encodeReply(replyCodeFor(refusal), unspecified));
}

function logRefusal(shown: string, refusal: Refusal, { log, lineLimits }: ConnectionContext): void {
  const admit = refusal.kind === "no-token" ? lineLimits.noToken : lineLimits.refused;
  const line = admit(`${shown} refused: ${refusalText(refusal)}`);
  if (line === undefined) return;
  // A client that asks for ports a name does not have is ordinary; the line is for its user.
  if (refusal.kind === "port-not-published") log.info(line);
  else log.warn(line);
}

/**
 * Ends our direction, then drops what the client still sends until it ends too, for a short time. Closing over unread bytes would
 * make the kernel send a reset, which can take the reply away from the client.
 */
async function endConnection(client: Socket, lastBytes?: Uint8Array): Promise<void> {
  if (client.closed) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const limit = setTimeout(() => client.destroy(), lingerMs);
  client.once("close", () => resolve());
  if (lastBytes !== undefined) client.write(lastBytes);
  client.end();
  client.resume();
  await promise;
  clearTimeout(limit);
}

/** BND.ADDR and BND.PORT: our end of the upstream connection. A link-local address comes with a zone id no reply can carry. */
function boundAddressOf(upstream: Socket): BoundAddress {
  const address = parseAddress(upstream.localAddress?.replace(/%.*$/, "") ?? "");
  return address === undefined ? unspecified : { address, port: upstream.localPort ?? 0 };
}
