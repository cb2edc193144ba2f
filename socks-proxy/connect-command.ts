import type { Socket } from "node:net";
import type { Destination } from "../client/answers/destination.ts";
import type { ConnectOutcome } from "../client/connect/connector.ts";
import { type Address, formatEndpoint, parseAddress } from "../shared/address.ts";
import { destinationText } from "./log-line.ts";
import { judgeFor } from "./policy/judged.ts";
import { refuse } from "./refusal.ts";
import { type Channel, channelOf, dialChannel } from "./relay/channel.ts";
import { relay } from "./relay/relay.ts";
import type { ServedConnection } from "./served-connection.ts";
import type { ConnectionContext } from "./server.ts";
import { keepEarlyBytes } from "./socks/early-bytes.ts";
import type { ClientRequest } from "./socks/handshake.ts";
import { granted, type Refusal } from "./socks/reply.ts";
import { meantDestination } from "./socks/stand-ins.ts";
import { type BoundAddress, unspecified } from "./socks/wire.ts";

export type Upstream =
  | { kind: "connected"; channel: Channel; at: string }
  | Exclude<ConnectOutcome, { kind: "connected" }>;

/** CONNECT: connects, then replies, then relays (RFC 1928 §4, §6). Resolves when both connections are closed. */
export async function serveConnect(
  connection: ServedConnection,
  request: ClientRequest,
  early: Uint8Array,
  context: ConnectionContext,
): Promise<void> {
  const { channel: client } = connection;
  const destination = meantDestination(request.destination, context.standIns);
  if (isRefusal(destination)) return refuse(connection, request, destination, context);
  const kept = keepEarlyBytes(client, early);
  const upstream = await connectFor(connection, destination, context);
  if (upstream.kind !== "connected") {
    return refuse(connection, { ...request, destination }, upstream, context);
  }
  client.socket.write(granted(request.protocol, boundAddressOf(upstream.channel.socket)));
  await relayFor(connection, destination, upstream, kept.taken(), context);
}

/** Connects to a destination on behalf of a client, as the policy lets it, for as long as the client is there. */
export async function connectFor(
  connection: ServedConnection,
  destination: Destination,
  { connector, policy, stub, counts }: Pick<ConnectionContext, "connector" | "policy" | "stub" | "counts">,
): Promise<Upstream> {
  const judgement = judgeFor(connection.client, policy, stub);
  const denied = judgement.before(destination);
  if (denied !== undefined) return denied;
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  const { socket } = connection.channel;
  if (socket.destroyed) leave();
  socket.once("close", leave);
  connection.isWaiting = true;
  const outcome = await connector.connect(destination, {
    signal: gone.signal,
    judge: judgement.after,
    dial: (candidate) => dialChannel(candidate).socket,
  });
  connection.isWaiting = false;
  socket.off("close", leave);
  if (outcome.kind !== "connected") return outcome;
  counts.granted++;
  const channel = channelOf(outcome.upstream);
  if (channel === undefined) throw new Error("the connector made a connection that it was not told to make");
  return { kind: "connected", channel, at: formatEndpoint(outcome.candidate) };
}

/** Relays until both connections are closed; counts and logs what went through. */
export async function relayFor(
  connection: ServedConnection,
  destination: Destination,
  { channel: upstream, at }: Extract<Upstream, { kind: "connected" }>,
  early: Uint8Array,
  { times, counts, log }: Pick<ConnectionContext, "times" | "counts" | "log">,
): Promise<void> {
  const relaying = relay(connection.channel, upstream, { idleMs: times.idle, early });
  connection.endInOrder = () => relaying.drain();
  const end = await relaying.ended;
  const { bytesWritten, bytesRead } = upstream.socket;
  counts.bytesUp += bytesWritten;
  counts.bytesDown += bytesRead;
  log.debug(`${destinationText(destination)} at ${at}: ${bytesWritten} bytes up, ${bytesRead} down, ${end}`);
}

function isRefusal(meant: Destination | Refusal): meant is Refusal {
  return meant.kind !== "name" && meant.kind !== "address";
}

/** BND.ADDR and BND.PORT: our end of the upstream connection. A link-local address comes with a zone id no reply can carry. */
function boundAddressOf({ localAddress = "", localPort = 0 }: Socket): BoundAddress {
  // As the system writes an IPv4 address is how we do.
  const isIpv4 = !localAddress.includes(":") && localAddress !== "";
  const address = isIpv4 ? (localAddress as Address) : parseAddress(localAddress.replace(/%.*$/, ""));
  return address === undefined ? unspecified : { address, port: localPort };
}
