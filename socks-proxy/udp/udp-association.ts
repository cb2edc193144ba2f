import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

import type { Destination } from "../../client/answers/destination.ts";
import type { Resolution } from "../../client/answers/resolution.ts";
import type { DeadEndpoints } from "../../client/connect/dead-endpoints.ts";
import type { Candidate } from "../../client/connect/endpoint-order.ts";
import type { StubResolver } from "../../client/stub-resolver.ts";
import { type Address, familyOf, noPort, parseAddress } from "../../shared/address.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Channel } from "../relay/channel.ts";
import { granted, type Refusal } from "../socks/reply.ts";
import { meantDestination, type StandIns } from "../socks/stand-ins.ts";
import { encodeDatagramHeader, parseDatagram } from "../socks/wire-datagram.ts";
import type { UdpBudget } from "./udp-budget.ts";
import { type DropReason, isFull, UdpDestination } from "./udp-destination.ts";

/** What all associations of a proxy have in common, but for `moved`. */
export interface UdpAssociationPorts {
  /** What the policy denies, it refuses. */
  stub: Pick<StubResolver, "resolve">;
  budget: UdpBudget;
  dead: DeadEndpoints;
  standIns: StandIns;
  /** Told of the octets of each datagram that goes to an endpoint, or back to the client. */
  moved: (direction: "bytesUp" | "bytesDown", octets: number) => void;
  /** Milliseconds that only ever go up. */
  now: () => number;
  /** From 0 up to, not including, 1. */
  random: () => number;
  /** Milliseconds without a datagram either way that end an association and its connection. */
  idleMs: number;
  /** Milliseconds for resolving one name. */
  resolveMs: number;
}

/** For the log: what went through, and what did not. */
export interface AssociationCounts {
  up: number;
  down: number;
  dropped: Partial<Record<DropReason, number>>;
}

export type AssociationEnd = { kind: "ended"; counts: AssociationCounts } | Refusal;

const mostDestinations = 256;
/** When all places are taken, a destination that was quiet for this long makes room for a new one. */
const quietMs = 5_000;
/** RFC 4787 §4.3, REQ-5: a mapping lives two minutes at least, five by recommendation. */
const destinationIdleMs = 300_000;

/**
 * Serves UDP ASSOCIATE (RFC 1928 §7) for the client of `channel`: grants it, then relays until the client's connection ends or is idle
 * for too long, and ends it. A refusal is not yet replied to. Never rejects.
 */
export async function serveAssociation(
  channel: Channel,
  announced: Destination,
  ports: UdpAssociationPorts,
): Promise<AssociationEnd> {
  const { socket } = channel;
  const connectionEnded = whenEnded(channel);
  const here = parseAddress(withoutZone(socket.localAddress ?? ""));
  const client = parseAddress(withoutZone(socket.remoteAddress ?? ""));
  if (here === undefined || client === undefined) return { kind: "own-fault", reason: "the client has left" };
  const giveBack = ports.budget.association(client);
  if (giveBack === undefined) return { kind: "too-many", what: "UDP associations of this client" };
  const association = new Association(client, announced.port, ports);
  try {
    const port = await association.open(here);
    socket.write(granted("socks5", { address: here, port }));
    await association.served(connectionEnded);
    socket.destroySoon();
    return { kind: "ended", counts: association.counts };
  } catch (fault) {
    return { kind: "own-fault", reason: `no socket for the association: ${describeFault(fault)}` };
  } finally {
    association.close();
    giveBack();
  }
}

class Association {
  readonly counts: AssociationCounts = { up: 0, down: 0, dropped: {} };
  readonly #client: Address;
  readonly #ports: UdpAssociationPorts;
  /** The one that was quiet for longest comes first. */
  readonly #destinations = new Map<string, UdpDestination>();
  readonly #ended = new AbortController();
  #relay: Socket | undefined;
  /** 0 until the client has shown it, when it did not announce it. */
  #clientPort: number;
  #activeAt: number;

  constructor(client: Address, clientPort: number, ports: UdpAssociationPorts) {
    this.#client = client;
    this.#clientPort = clientPort;
    this.#ports = ports;
    this.#activeAt = ports.now();
  }

  /** At the address the client has reached us at, which is one that it can reach. Resolves to the port. */
  async open(here: Address): Promise<number> {
    const relay = createSocket({ type: familyOf(here) === 4 ? "udp4" : "udp6" });
    this.#relay = relay;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    relay.on("error", reject);
    relay.bind({ address: here, port: 0 }, resolve);
    await promise;
    relay.on("message", (bytes, from) => this.#passOn(bytes, from));
    return relay.address().port;
  }

  /** Until its connection ends or no datagram went either way for too long. */
  async served(connectionEnded: Promise<void>): Promise<void> {
    const idle = Promise.withResolvers<void>();
    const stopSweeping = this.#sweepUntilIdle(idle.resolve);
    await Promise.race([connectionEnded, idle.promise]);
    stopSweeping();
  }

  close(): void {
    this.#ended.abort();
    this.#relay?.close();
    for (const destination of this.#destinations.values()) destination.close();
    this.#destinations.clear();
  }

  #passOn(bytes: Uint8Array, from: RemoteInfo): void {
    const reason = this.#isFromClient(from) ? this.#relayOn(bytes, from.port) : "wrong-sender";
    // RFC 1928 §7: silently.
    if (reason !== undefined) this.#drop(reason);
  }

  #relayOn(bytes: Uint8Array, clientPort: number): DropReason | undefined {
    const parsed = parseDatagram(bytes);
    if (parsed.kind === "fault") return parsed.fault;
    this.#clientPort = clientPort;
    const meant = meantDestination(parsed.destination, this.#ports.standIns);
    if (meant.kind === "not-found") return "not-resolved";
    const destination = this.#destinationFor(meant);
    if (destination === undefined) return "too-many";
    this.#activeAt = this.#ports.now();
    this.counts.up++;
    destination.send(parsed.payload);
    return undefined;
  }

  /** RFC 1928 §7: datagrams from any other address MUST be dropped. The port is the one announced, else the first one seen. */
  #isFromClient({ address, port }: RemoteInfo): boolean {
    if (withoutZone(address) !== this.#client || port === noPort) return false;
    return this.#clientPort === 0 || this.#clientPort === port;
  }

  #destinationFor(destination: Destination): UdpDestination | undefined {
    const key = destination.kind === "name" ? destination.name.toLowerCase() : destination.address;
    const place = `${destination.port} ${key}`;
    const known = this.#destinations.get(place);
    if (known === undefined && this.#destinations.size >= mostDestinations && !this.#makeRoom())
      return undefined;
    const found = known ?? this.#newDestination(destination);
    this.#destinations.delete(place);
    this.#destinations.set(place, found);
    return found;
  }

  #newDestination(destination: Destination): UdpDestination {
    const { budget, dead, moved, now, random } = this.#ports;
    return new UdpDestination(destination, {
      resolve: (wanted, fresh) => this.#resolve(wanted, fresh),
      reply: (payload, source) => this.#reply(payload, source),
      sent: (octets) => moved("bytesUp", octets),
      dropped: (reason) => this.#drop(reason),
      ...{ budget, dead, client: this.#client, now, random },
    });
  }

  #resolve(destination: Destination, fresh: boolean): Promise<Resolution> {
    const { stub, resolveMs } = this.#ports;
    const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(resolveMs)]);
    return stub.resolve(destination, { protocol: "udp", fresh, signal });
  }

  #reply(payload: Uint8Array, source: Candidate): void {
    this.#activeAt = this.#ports.now();
    const relay = this.#relay;
    if (relay === undefined || isFull(relay)) return void this.#drop("not-sent");
    this.counts.down++;
    this.#ports.moved("bytesDown", payload.length);
    relay.send([encodeDatagramHeader(source), payload], this.#clientPort, this.#client, (fault) => {
      // With the header before it, the longest datagram is too long.
      if (fault !== null) this.#drop("not-sent");
    });
  }

  /** Those in use keep their places: a client that floods one program's destinations must not end another's. */
  #makeRoom(): boolean {
    const [first] = this.#destinations;
    if (first === undefined || this.#ports.now() - first[1].activeAt < quietMs) return false;
    this.#end(...first);
    return true;
  }

  #sweepUntilIdle(idle: () => void): () => void {
    const { idleMs, now } = this.#ports;
    const timer = setInterval(() => {
      if (now() - this.#activeAt >= idleMs) idle();
      for (const [place, destination] of this.#destinations) {
        if (now() - destination.activeAt >= destinationIdleMs) this.#end(place, destination);
      }
    }, Math.min(idleMs, destinationIdleMs) / 4);
    return () => clearInterval(timer);
  }

  #end(place: string, destination: UdpDestination): void {
    this.#destinations.delete(place);
    destination.close();
  }

  #drop(reason: DropReason): void {
    this.counts.dropped[reason] = (this.counts.dropped[reason] ?? 0) + 1;
  }
}

/**
 * RFC 1928 §6: an association ends with the TCP connection it was asked for on, in either way that one can end. Nothing is said on that
 * any more; what is sent all the same means nothing.
 */
function whenEnded(channel: Channel): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  channel.socket.once("close", () => resolve());
  channel.take({ bytes: () => true, end: resolve });
  if (channel.socket.destroyed) resolve();
  return promise;
}

/** A link-local address comes with the zone id of this machine's own link (RFC 4007 §11), which is no part of it. */
function withoutZone(address: string): string {
  return address.replace(/%.*$/, "");
}
