import type { Connector } from "../client/connect/connector.ts";
import type { StubResolver } from "../client/stub-resolver.ts";
import type { Log } from "../shared/log.ts";
import { serveConnect } from "./connect-command.ts";
import type { Counts } from "./counts.ts";
import type { Admission } from "./limits.ts";
import type { LineLimit } from "./line-limit.ts";
import { handshakeText } from "./log-line.ts";
import type { Policy } from "./policy/policy.ts";
import { refuse } from "./refusal.ts";
import { type Channel, whenClosed } from "./relay/channel.ts";
import { endConnection } from "./relay/connection-end.ts";
import type { ServedConnection } from "./served-connection.ts";
import type { ClientRequest, Users } from "./socks/handshake.ts";
import { type Negotiation, negotiate } from "./socks/negotiate.ts";
import { serveLookup, serveUdp } from "./socks/other-commands.ts";
import type { ResolvePorts } from "./socks/resolve-command.ts";
import type { StandIns } from "./socks/stand-ins.ts";
import { Command } from "./socks/wire.ts";
import type { UdpAssociationPorts } from "./udp/udp-association.ts";

/** What all connections of a proxy have in common. */
export interface ConnectionContext {
  connector: Connector;
  stub: StubResolver;
  policy: Policy;
  users: Users | undefined;
  admission: Admission;
  standIns: StandIns;
  times: ConnectionTimes;
  udp: Omit<UdpAssociationPorts, "stub" | "moved">;
  reverse: ResolvePorts["reverse"];
  /** Serves a client that speaks HTTP, from its first bytes on; resolves when its connection is to be ended. */
  serveHttp: (connection: ServedConnection, early: Uint8Array) => Promise<void>;
  counts: Counts;
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
export interface ConnectionTimes {
  handshake: number;
  /** One resolution that is not followed by a connection. */
  resolve: number;
  /** Infinity for no limit. */
  idle: number;
}

/** Serves one accepted connection, told apart by its first byte. Resolves when it is closed, and its upstream too. */
export async function serveConnection(
  connection: ServedConnection,
  context: ConnectionContext,
): Promise<void> {
  const { channel } = connection;
  const { users, times } = context;
  const negotiation = await negotiate(channel, { users, timeoutMs: times.handshake });
  if (negotiation.kind === "request") {
    return serveRequest(connection, negotiation.request, negotiation.early, context);
  }
  if (negotiation.kind === "http") {
    channel.pause();
    await context.serveHttp(connection, negotiation.early);
    return whenClosed(channel.socket);
  }
  return endHandshake(channel, negotiation, context);
}

async function serveRequest(
  connection: ServedConnection,
  request: ClientRequest,
  early: Uint8Array,
  context: ConnectionContext,
): Promise<void> {
  const { user } = request;
  if (user === undefined) return serveCommand(connection, request, early, context);
  const excess = context.admission.admitUser(user);
  if (excess !== undefined) return refuse(connection, request, { kind: "too-many", what: excess }, context);
  try {
    await serveCommand(connection, request, early, context);
  } finally {
    context.admission.releaseUser(user);
  }
}

function serveCommand(
  connection: ServedConnection,
  request: ClientRequest,
  early: Uint8Array,
  context: ConnectionContext,
): Promise<void> {
  const { command, protocol } = request;
  if (command === Command.Connect) return serveConnect(connection, request, early, context);
  if (command === Command.UdpAssociate && protocol === "socks5")
    return serveUdp(connection, request, context);
  if (command === Command.Resolve || command === Command.ResolvePtr)
    return serveLookup(connection, request, context);
  return refuse(connection, request, { kind: "command-not-supported", command }, context);
}

/** What there was to say to the client has been said. */
async function endHandshake(
  client: Channel,
  negotiation: Exclude<Negotiation, { kind: "request" | "http" }>,
  context: ConnectionContext,
): Promise<void> {
  const { log, lineLimits, counts } = context;
  const text = handshakeText(negotiation);
  if (negotiation.kind === "client-gone") {
    // Port scans and health checks do no more than this.
    log.debug(text);
    return endConnection(client);
  }
  counts.refuse(negotiation.kind === "refused" ? negotiation.refusal.kind : negotiation.kind);
  const line = lineLimits.turnedAway(`a client was turned away: ${text}`);
  if (line !== undefined) log.warn(line);
  const isAnswered = negotiation.kind !== "unknown-protocol" && negotiation.kind !== "handshake-timeout";
  if (isAnswered) return endConnection(client);
  client.socket.destroy();
  return whenClosed(client.socket);
}
