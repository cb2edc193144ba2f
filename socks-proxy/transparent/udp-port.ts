import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

import { noPort } from "../../shared/address.ts";
import { displayName, type Name } from "../../shared/name.ts";
import type { DestinationPorts } from "../udp/udp-destination.ts";
import type { Clock } from "./clock.ts";
import type { Listener, PortAt } from "./open-ports.ts";
import { UdpPortSession } from "./udp-port-session.ts";
import type { OpenSessions } from "./udp-service.ts";

/** What all UDP ports have in common. */
export interface UdpService extends Pick<DestinationPorts, "resolve" | "budget" | "dead" | "random"> {
  /** Those of all ports. */
  sessions: Pick<OpenSessions, "add" | "remove" | "isDraining">;
  /** Told of the octets of each datagram that goes to a service, or back to a client. */
  moved: (direction: "bytesUp" | "bytesDown", octets: number) => void;
  isLocal: (address: string) => boolean;
  onConnection: (name: Name) => void;
  clock: Clock;
}

/** Of one port. */
const mostSessions = 256;
/** Without a datagram either way (RFC 4787 §4.3 REQ-5). */
const idleMs = 120_000;
/** When all places are taken, a client that was quiet for this long makes room for a new one. */
const quietMs = 5_000;

/**
 * Listens there and relays each client's datagrams, and the answers back from the address they were sent to. Closing it ends its clients,
 * unless they are being drained: then it goes with the last of them. Rejects as Node's bind does.
 */
export async function openUdpPort(name: Name, at: PortAt, service: UdpService): Promise<Listener> {
  const isIpv6 = at.address.includes(":");
  const listener = isIpv6 ? createSocket({ type: "udp6", ipv6Only: true }) : createSocket("udp4");
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  listener.once("error", reject);
  listener.bind({ address: at.address, port: at.port, exclusive: true }, resolve);
  try {
    await promise;
  } catch (fault) {
    listener.close();
    throw fault;
  }
  listener.on("error", () => {
    // ICMP's word on a client that has left; the others go on.
  });
  const clients = new PortClients(name, at, listener, service);
  listener.on("message", (datagram, from) => clients.passIn(datagram, from));
  return { close: () => clients.close() };
}

class PortClients {
  readonly #name: Name;
  readonly #at: PortAt;
  readonly #listener: Socket;
  readonly #service: UdpService;
  readonly #sessions = new Map<string, UdpPortSession>();
  #cancelSweep: (() => void) | undefined;
  #isClosed = false;

  constructor(name: Name, at: PortAt, listener: Socket, service: UdpService) {
    this.#name = name;
    this.#at = at;
    this.#listener = listener;
    this.#service = service;
  }

  passIn(datagram: Uint8Array, from: RemoteInfo): void {
    if (from.port === noPort || !this.#service.isLocal(from.address)) return;
    const session = this.#sessions.get(keyOf(from)) ?? this.#newSession(from);
    session?.passIn(datagram);
  }

  close(): void {
    if (this.#isClosed) return;
    if (!this.#service.sessions.isDraining) for (const session of this.#sessions.values()) session.end();
    this.#isClosed = true;
    this.#closeWhenEmpty();
  }

  #newSession(client: RemoteInfo): UdpPortSession | undefined {
    const { sessions, onConnection } = this.#service;
    if (sessions.isDraining) return undefined;
    if (this.#sessions.size >= mostSessions && !this.#makeRoom()) return undefined;
    const destination = { kind: "name", name: displayName(this.#name), port: this.#at.port } as const;
    const ended = (): void => this.#forget(session);
    const ports = { listener: this.#listener, service: this.#service, ended };
    const session = new UdpPortSession(client, destination, ports);
    if (!sessions.add(session)) return undefined;
    this.#sessions.set(keyOf(client), session);
    onConnection(this.#name);
    this.#cancelSweep ??= this.#sweepAfter(idleMs);
    return session;
  }

  #forget(session: UdpPortSession): void {
    this.#service.sessions.remove(session);
    const key = keyOf(session.client);
    if (this.#sessions.get(key) === session) this.#sessions.delete(key);
    if (this.#isClosed) this.#closeWhenEmpty();
  }

  #closeWhenEmpty(): void {
    if (this.#sessions.size > 0) return;
    this.#cancelSweep?.();
    this.#listener.close();
  }

  #makeRoom(): boolean {
    const quietest = this.#quietest();
    if (quietest === undefined || this.#service.clock.now() - quietest.activeAt < quietMs) return false;
    quietest.end();
    return true;
  }

  #sweepAfter(ms: number): () => void {
    const { clock } = this.#service;
    return clock.after(ms, () => {
      this.#cancelSweep = undefined;
      for (const session of this.#sessions.values()) {
        if (clock.now() - session.activeAt >= idleMs) session.end();
      }
      const quietest = this.#quietest();
      if (quietest !== undefined)
        this.#cancelSweep = this.#sweepAfter(quietest.activeAt + idleMs - clock.now());
    });
  }

  #quietest(): UdpPortSession | undefined {
    let quietest: UdpPortSession | undefined;
    for (const session of this.#sessions.values()) {
      if (session.activeAt < (quietest?.activeAt ?? Number.POSITIVE_INFINITY)) quietest = session;
    }
    return quietest;
  }
}

function keyOf({ address, port }: RemoteInfo): string {
  return `${port} ${address}`;
}
