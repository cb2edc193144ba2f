import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

import { type Destination, nameAsWritten } from "../../client/answers/destination.ts";
import type { Resolution } from "../../client/answers/resolution.ts";
import { candidateKey, type DeadEndpoints } from "../../client/connect/dead-endpoints.ts";
import { type Candidate, candidatesOf } from "../../client/connect/endpoint-order.ts";
import { familyOf } from "../../shared/address.ts";
import type { UdpBudget } from "./udp-budget.ts";
import { WaitingDatagrams } from "./waiting-datagrams.ts";

/** What a destination needs of whose it is: an association's, or a client's of the transparent mode. */
export interface DestinationPorts {
  /** Where the destination leads; `fresh` past every cache. Never rejects. */
  resolve(destination: Destination, fresh: boolean): Promise<Resolution>;
  /** Hands a datagram that came from `source` to the client. */
  reply(payload: Uint8Array, source: Candidate): void;
  /** So many octets went to the endpoint. */
  sent(octets: number): void;
  dropped(reason: DropReason): void;
  budget: UdpBudget;
  /** Those that refused a moment ago, whoever it was that they refused. */
  dead: DeadEndpoints;
  /** The client's address, whose budget it is. */
  client: string;
  /** Milliseconds that only ever go up. */
  now: () => number;
  random: () => number;
}

/** Why a datagram went nowhere. */
export type DropReason =
  | "wrong-sender"
  | "malformed"
  | "fragment"
  /** Of destinations, sockets or waiting datagrams. */
  | "too-many"
  /** No such name or port, denied, or no answer. */
  | "not-resolved"
  /** The system would not send it, as when it is too long. */
  | "not-sent";

/** How old an answer may be before the next datagram has it asked for again; the stub resolver's cache answers most of these. */
const recheckMs = 500;
/** A destination that refuses is asked for past every cache, but not with every datagram. */
const freshEveryMs = 500;
/** What the system has not taken yet: a program that sends faster than its network loses datagrams, as it would without us. */
const mostQueuedOctets = 1 << 20;
/** What this machine has run out of says nothing about the endpoint. */
const ownFaults: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]);
/** On sending: ICMP's answer to an earlier datagram, or that no route leads there any more. */
const unreachable: ReadonlySet<unknown> = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH"]);

/** Whether a datagram sent over `socket` now is to be dropped instead, before what waits takes the machine's memory. */
export function isFull(socket: Socket): boolean {
  return socket.getSendQueueSize() > mostQueuedOctets;
}

interface Upstream {
  candidate: Candidate;
  socket: Socket;
  giveBack: () => void;
  /** Connected, so that the kernel lets nobody but the endpoint answer, and tells of its ICMP errors. */
  isReady: boolean;
  hasFailed: boolean;
}

/**
 * One destination of one client. Its datagrams all go to one endpoint while that stands in the destination's answer and does not refuse:
 * who speaks over UDP rarely bears a change of its peer within a conversation. An endpoint that is silent is stayed with, as the
 * protocol may be one without answers.
 */
export class UdpDestination {
  /** When a datagram last went either way. */
  activeAt: number;
  readonly #destination: Destination;
  readonly #ports: DestinationPorts;
  readonly #waiting: WaitingDatagrams;
  #upstream: Upstream | undefined;
  /** The one before it, whose last answers may be on their way. */
  #retired: Upstream | undefined;
  #isResolving = false;
  #isClosed = false;
  #resolvedAt = Number.NEGATIVE_INFINITY;
  #freshAt = Number.NEGATIVE_INFINITY;

  constructor(destination: Destination, ports: DestinationPorts) {
    this.#destination = destination;
    this.#ports = ports;
    this.#waiting = new WaitingDatagrams(ports.budget);
    this.activeAt = ports.now();
  }

  send(payload: Uint8Array): void {
    const now = this.#ports.now();
    this.activeAt = now;
    const upstream = this.#upstream;
    if (upstream?.isReady) this.#sendTo(upstream, payload);
    else if (!this.#waiting.add(payload)) this.#ports.dropped("too-many");
    const isOld = this.#destination.kind === "name" && now - this.#resolvedAt >= recheckMs;
    if (upstream === undefined || isOld) void this.#resolve(false);
  }

  close(): void {
    this.#isClosed = true;
    this.#retire();
    this.#closeRetired();
    this.#waiting.take();
  }

  async #resolve(fresh: boolean, failed?: Candidate): Promise<void> {
    if (this.#isResolving) return;
    this.#isResolving = true;
    const resolution = await this.#ports.resolve(this.#destination, fresh);
    this.#isResolving = false;
    if (this.#isClosed) return;
    this.#resolvedAt = this.#ports.now();
    if (resolution.kind === "endpoints") {
      const { dead, random, now } = this.#ports;
      const candidates = dead.order(candidatesOf(resolution.endpoints, random), now());
      return failed === undefined ? this.#follow(candidates) : this.#leave(failed, candidates, fresh);
    }
    // Without an answer the endpoint there is may still be the right one.
    if (resolution.kind === "no-answer" && this.#upstream !== undefined) return;
    this.#retire();
    this.#forgetWaiting("not-resolved");
  }

  /** Stays with the endpoint in use while the answer has it. */
  #follow(candidates: readonly Candidate[]): void {
    const current = this.#upstream?.candidate;
    if (current === undefined || !candidates.some((one) => isSame(one, current))) this.#goTo(candidates[0]);
  }

  /**
   * For another than the one that failed. Where all have failed, another is tried once for each fresh answer: else each datagram of
   * the client would cost a socket.
   */
  #leave(failed: Candidate, candidates: readonly Candidate[], isFresh: boolean): void {
    const { dead, now } = this.#ports;
    const next = candidates.find((one) => !isSame(one, failed));
    if (next !== undefined && (isFresh || !dead.isDead(next, now()))) this.#goTo(next);
    else if (this.#upstream === undefined) this.#forgetWaiting("not-sent");
    else this.#follow(candidates);
  }

  #goTo(candidate: Candidate | undefined): void {
    this.#retire();
    if (candidate === undefined) this.#forgetWaiting("not-resolved");
    else if (!this.#open(candidate)) this.#forgetWaiting("too-many");
  }

  #open(candidate: Candidate): boolean {
    const giveBack = this.#ports.budget.upstream(this.#ports.client);
    if (giveBack === undefined) return false;
    const socket = createSocket(familyOf(candidate.address) === 4 ? "udp4" : "udp6");
    const upstream: Upstream = { candidate, socket, giveBack, isReady: false, hasFailed: false };
    this.#upstream = upstream;
    socket.on("error", (fault) => this.#fault(upstream, codeOf(fault)));
    socket.on("message", (payload, from) => this.#receive(upstream, payload, from));
    socket.once("connect", () => {
      upstream.isReady = true;
      for (const payload of this.#waiting.take()) this.#sendTo(upstream, payload);
    });
    // Without a callback, which would be given the fault in the place of "error".
    socket.connect(candidate.port, candidate.address);
    return true;
  }

  #sendTo(upstream: Upstream, payload: Uint8Array): void {
    if (isFull(upstream.socket)) return void this.#ports.dropped("not-sent");
    this.#ports.sent(payload.length);
    upstream.socket.send(payload, (fault) => this.#afterSending(upstream, fault));
  }

  #afterSending(upstream: Upstream, fault: Error | null): void {
    if (fault === null) return;
    this.#ports.dropped("not-sent");
    if (unreachable.has(codeOf(fault))) this.#fault(upstream, codeOf(fault));
  }

  #receive({ candidate }: Upstream, payload: Uint8Array, from: RemoteInfo): void {
    // Between its binding and its connecting a socket takes datagrams from anybody.
    if (from.port !== candidate.port || from.address !== candidate.address) {
      return void this.#ports.dropped("wrong-sender");
    }
    this.activeAt = this.#ports.now();
    this.#ports.dead.worked(candidate);
    this.#ports.reply(payload, candidate);
  }

  /** Nobody is there (ICMP), or the socket could not be connected: the destination may have moved, or have others. */
  #fault(upstream: Upstream, code: unknown): void {
    if (this.#upstream !== upstream) return;
    if (!upstream.isReady) {
      this.#retire();
      this.#closeRetired();
    }
    const isOurs = ownFaults.has(code);
    if (isOurs || this.#destination.kind !== "name") return void this.#forgetWaiting("not-sent");
    const now = this.#ports.now();
    this.#ports.dead.failed(upstream.candidate, nameAsWritten(this.#destination.name), now);
    const isFreshDue = now - this.#freshAt >= freshEveryMs;
    if (this.#isResolving || (upstream.hasFailed && !isFreshDue)) return;
    upstream.hasFailed = true;
    if (isFreshDue) this.#freshAt = now;
    void this.#resolve(isFreshDue, upstream.candidate);
  }

  #forgetWaiting(reason: DropReason): void {
    for (const _ of this.#waiting.take()) this.#ports.dropped(reason);
  }

  #retire(): void {
    if (this.#upstream === undefined) return;
    this.#closeRetired();
    this.#retired = this.#upstream;
    this.#upstream = undefined;
  }

  #closeRetired(): void {
    if (this.#retired === undefined) return;
    this.#retired.giveBack();
    this.#retired.socket.close();
    this.#retired = undefined;
  }
}

function isSame(a: Candidate, b: Candidate): boolean {
  return candidateKey(a) === candidateKey(b);
}

function codeOf(fault: Error): unknown {
  return "code" in fault ? fault.code : undefined;
}
