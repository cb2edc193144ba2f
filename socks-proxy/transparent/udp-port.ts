import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

import type { Candidate } from "../../client/connect/endpoint-order.ts";
import { noPort } from "../../shared/address.ts";
import type { Name } from "../../shared/name.ts";
import type { Clock } from "./clock.ts";
import type { Listener, PortAt } from "./open-ports.ts";

export interface UdpService {
  /** Where datagrams for the service go now; undefined when it leads nowhere. `fresh` is past every cache. */
  find: (name: Name, at: PortAt, fresh: boolean) => Promise<Candidate[] | undefined>;
  /** Counts a session in; undefined when there are as many as there may be. The function given back counts it out. */
  admit: () => (() => void) | undefined;
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
/** Datagrams kept while the service is looked for. */
const mostWaiting = 16;
/** A service that is used is looked for again this often: its port may have changed without a word. */
const lookAgainMs = 500;
/** One that refuses is looked for past every cache, but not with every datagram. */
const refusedAgainMs = 200;

/** Listens there and relays each client's datagrams, and the answers back from the address they were sent to. Rejects as Node's bind does. */
export async function openUdpPort(name: Name, at: PortAt, service: UdpService): Promise<Listener> {
  const listener = socketFor(at.address);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  listener.once("error", reject);
  listener.bind({ address: at.address, port: at.port, exclusive: true }, resolve);
  try {
    await promise;
  } catch (fault) {
    listener.close();
    throw fault;
  }
  listener.on("error", noteNothing);
  const sessions = new UdpSessions(name, at, listener, service);
  listener.on("message", (datagram, from) => sessions.passIn(datagram, from));
  return { close: () => sessions.close() };
}

interface Session {
  key: string;
  client: RemoteInfo;
  /** Undefined while the service is looked for. */
  upstream: Upstream | undefined;
  waiting: Uint8Array[];
  activeAt: number;
  lookedAt: number;
  isLooking: boolean;
  leave: () => void;
}

interface Upstream {
  socket: Socket;
  candidate: Candidate;
  isConnected: boolean;
}

class UdpSessions {
  readonly #name: Name;
  readonly #at: PortAt;
  readonly #listener: Socket;
  readonly #service: UdpService;
  /** The one that was quiet for longest comes first. */
  readonly #sessions = new Map<string, Session>();
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
    const session = this.#sessionOf(from);
    if (session === undefined) return;
    this.#touch(session);
    const { upstream } = session;
    if (upstream?.isConnected) upstream.socket.send(datagram, noteNothing);
    else if (session.waiting.length < mostWaiting) session.waiting.push(datagram);
    const isOld = this.#service.clock.now() - session.lookedAt >= lookAgainMs;
    if (upstream === undefined || isOld) void this.#look(session, false);
  }

  /** The listener goes at once; a UDP session is nothing without it. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelSweep?.();
    for (const session of [...this.#sessions.values()]) this.#end(session);
    this.#listener.close();
  }

  #sessionOf(from: RemoteInfo): Session | undefined {
    const key = `${from.port} ${from.address}`;
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    if (this.#sessions.size >= mostSessions && !this.#makeRoom()) return undefined;
    const leave = this.#service.admit();
    if (leave === undefined) return undefined;
    const times = { activeAt: 0, lookedAt: Number.NEGATIVE_INFINITY };
    const session = {
      key,
      client: from,
      upstream: undefined,
      waiting: [],
      ...times,
      isLooking: false,
      leave,
    };
    this.#sessions.set(key, session);
    this.#service.onConnection(this.#name);
    this.#cancelSweep ??= this.#sweepAfter(idleMs);
    return session;
  }

  /** Looks for the service, and moves the session when it is somewhere else by now. */
  async #look(session: Session, fresh: boolean): Promise<void> {
    if (session.isLooking) return;
    session.isLooking = true;
    session.lookedAt = this.#service.clock.now();
    const candidates = await this.#service.find(this.#name, this.#at, fresh);
    session.isLooking = false;
    if (this.#sessions.get(session.key) !== session) return;
    const present = session.upstream?.candidate;
    // No answer says nothing: what works stays.
    if (present !== undefined && (candidates === undefined || candidates.some((one) => isSame(one, present))))
      return;
    const [candidate] = candidates ?? [];
    if (candidate === undefined) return void this.#end(session);
    session.upstream?.socket.close();
    session.upstream = this.#connect(session, candidate);
  }

  #connect(session: Session, candidate: Candidate): Upstream {
    const socket = socketFor(candidate.address);
    const upstream = { socket, candidate, isConnected: false };
    socket.on("error", () => this.#failed(session, upstream));
    socket.on("message", (datagram) => this.#passOut(session, datagram));
    socket.once("connect", () => {
      upstream.isConnected = true;
      for (const datagram of session.waiting.splice(0)) socket.send(datagram, noteNothing);
    });
    // A connected socket takes no datagrams from anybody but the service.
    socket.connect(candidate.port, candidate.address);
    return upstream;
  }

  /** Nothing listens there (ICMP): the service may have moved. What cannot even be connected to begins anew with the next datagram. */
  #failed(session: Session, upstream: Upstream): void {
    if (session.upstream !== upstream) return;
    if (!upstream.isConnected) this.#end(session);
    else if (this.#service.clock.now() - session.lookedAt >= refusedAgainMs) void this.#look(session, true);
  }

  #passOut(session: Session, datagram: Uint8Array): void {
    if (this.#isClosed) return;
    this.#touch(session);
    this.#listener.send(datagram, session.client.port, session.client.address, noteNothing);
  }

  #touch(session: Session): void {
    session.activeAt = this.#service.clock.now();
    this.#sessions.delete(session.key);
    this.#sessions.set(session.key, session);
  }

  #makeRoom(): boolean {
    const [quietest] = this.#sessions.values();
    if (quietest === undefined || this.#service.clock.now() - quietest.activeAt < quietMs) return false;
    this.#end(quietest);
    return true;
  }

  #sweepAfter(ms: number): () => void {
    const { clock } = this.#service;
    return clock.after(ms, () => {
      this.#cancelSweep = undefined;
      for (const session of [...this.#sessions.values()]) {
        const left = session.activeAt + idleMs - clock.now();
        if (left <= 0) this.#end(session);
        else {
          this.#cancelSweep = this.#sweepAfter(left);
          return;
        }
      }
    });
  }

  #end(session: Session): void {
    if (this.#sessions.get(session.key) !== session) return;
    this.#sessions.delete(session.key);
    session.leave();
    session.upstream?.socket.close();
  }
}

function isSame(a: Candidate, b: Candidate): boolean {
  return a.address === b.address && a.port === b.port;
}

function socketFor(address: string): Socket {
  return address.includes(":") ? createSocket({ type: "udp6", ipv6Only: true }) : createSocket("udp4");
}

/** A datagram that cannot be sent is lost, as on any network; without a callback the fault would be an event of the socket. */
function noteNothing(): void {}
