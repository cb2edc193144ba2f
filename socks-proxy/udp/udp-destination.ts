import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

import type { Destination } from "../../client/answers/destination.ts";
import type { Resolution } from "../../client/answers/resolution.ts";
import { type Candidate, candidatesOf } from "../../client/connect/endpoint-order.ts";
import { familyOf } from "../../shared/address.ts";
import { encodeDatagramHeader } from "../socks/wire-datagram.ts";
import type { UdpBudget } from "./udp-budget.ts";

/** What a destination needs of its association. */
export interface DestinationPorts {
  /** Where the destination leads; `fresh` past every cache. Never rejects. */
  resolve(destination: Destination, fresh: boolean): Promise<Resolution>;
  /** Hands a datagram to the client. */
  reply(header: Uint8Array, payload: Uint8Array): void;
  dropped(reason: DropReason): void;
  budget: UdpBudget;
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

/** While the name is being resolved. */
const mostWaiting = 16;
/** How old an answer may be before the next datagram has it asked for again; the stub resolver's cache answers most of these. */
const recheckMs = 1_000;
/** What the system has not taken yet: a program that sends faster than its network loses datagrams, as it would without us. */
const mostQueuedOctets = 1 << 20;

/** Whether a datagram sent over `socket` now is to be dropped instead, before what waits takes the machine's memory. */
export function isFull(socket: Socket): boolean {
  return socket.getSendQueueSize() > mostQueuedOctets;
}

interface Upstream {
  candidate: Candidate;
  socket: Socket;
  header: Uint8Array;
  giveBack: () => void;
  /** Connected, so that the kernel lets nobody but the endpoint answer, and tells of its ICMP errors. */
  isReady: boolean;
}

interface Waiting {
  payload: Uint8Array;
  giveBack: () => void;
}

/**
 * One destination of one association. Its datagrams all go to one endpoint while that stands in the destination's answer: who speaks
 * over UDP rarely bears a change of its peer within a conversation.
 */
export class UdpDestination {
  /** When a datagram last went either way. */
  activeAt: number;
  readonly #destination: Destination;
  readonly #ports: DestinationPorts;
  readonly #waiting: Waiting[] = [];
  #upstream: Upstream | undefined;
  /** The one before it, whose last answers may be on their way. */
  #retired: Upstream | undefined;
  #isResolving = false;
  #isClosed = false;
  #resolvedAt = Number.NEGATIVE_INFINITY;
  #refusedAt = Number.NEGATIVE_INFINITY;

  constructor(destination: Destination, ports: DestinationPorts) {
    this.#destination = destination;
    this.#ports = ports;
    this.activeAt = ports.now();
  }

  send(payload: Uint8Array): void {
    const now = this.#ports.now();
    this.activeAt = now;
    const upstream = this.#upstream;
    if (upstream?.isReady) this.#sendTo(upstream, payload);
    else this.#keep(payload);
    const isOld = this.#destination.kind === "name" && now - this.#resolvedAt >= recheckMs;
    if (upstream === undefined || isOld) void this.#resolve(false);
  }

  close(): void {
    this.#isClosed = true;
    this.#retire();
    this.#closeRetired();
    this.#forgetWaiting(undefined);
  }

  async #resolve(fresh: boolean, failed?: Candidate): Promise<void> {
    if (this.#isResolving) return;
    this.#isResolving = true;
    const resolution = await this.#ports.resolve(this.#destination, fresh);
    this.#isResolving = false;
    if (this.#isClosed) return;
    this.#resolvedAt = this.#ports.now();
    if (resolution.kind === "endpoints") return this.#follow(resolution, failed);
    // Without an answer the endpoint there is may still be the right one.
    if (resolution.kind === "no-answer" && this.#upstream !== undefined) return;
    this.#retire();
    this.#forgetWaiting("not-resolved");
  }

  /** Stays with the endpoint in use while the answer has it and it has not just refused. */
  #follow({ endpoints }: Extract<Resolution, { kind: "endpoints" }>, failed: Candidate | undefined): void {
    const candidates = candidatesOf(endpoints, this.#ports.random);
    const current = this.#upstream?.candidate;
    if (current !== undefined && current !== failed && candidates.some((one) => isSame(one, current))) return;
    const next = candidates.find((one) => failed === undefined || !isSame(one, failed)) ?? candidates[0];
    if (current !== undefined && next !== undefined && isSame(next, current)) return;
    this.#retire();
    if (next === undefined || !this.#open(next)) this.#forgetWaiting("not-resolved");
  }

  #open(candidate: Candidate): boolean {
    const giveBack = this.#ports.budget.upstream(this.#ports.client);
    if (giveBack === undefined) return false;
    const socket = createSocket(familyOf(candidate.address) === 4 ? "udp4" : "udp6");
    const header = encodeDatagramHeader(candidate);
    const upstream: Upstream = { candidate, socket, header, giveBack, isReady: false };
    this.#upstream = upstream;
    socket.on("error", () => this.#fault(upstream));
    socket.on("message", (payload, from) => this.#receive(upstream, payload, from));
    socket.connect(candidate.port, candidate.address, () => {
      upstream.isReady = true;
      for (const { payload, giveBack: giveRoomBack } of this.#waiting.splice(0)) {
        giveRoomBack();
        this.#sendTo(upstream, payload);
      }
    });
    return true;
  }

  #sendTo(upstream: Upstream, payload: Uint8Array): void {
    if (isFull(upstream.socket)) this.#ports.dropped("not-sent");
    else upstream.socket.send(payload, (fault) => this.#afterSending(upstream, fault));
  }

  #afterSending(upstream: Upstream, fault: Error | null): void {
    if (fault === null) return;
    this.#ports.dropped("not-sent");
    if ("code" in fault && fault.code === "ECONNREFUSED") this.#fault(upstream);
  }

  #receive({ candidate, header }: Upstream, payload: Uint8Array, from: RemoteInfo): void {
    // Between its binding and its connecting a socket takes datagrams from anybody.
    if (from.port === candidate.port && from.address === candidate.address) {
      this.activeAt = this.#ports.now();
      this.#ports.reply(header, payload);
    } else this.#ports.dropped("wrong-sender");
  }

  /** Nobody is there (ICMP), or the socket could not be connected: the destination may have moved. Asked for once a second at most. */
  #fault(upstream: Upstream): void {
    if (this.#upstream !== upstream) return;
    if (!upstream.isReady) {
      this.#retire();
      this.#closeRetired();
      this.#forgetWaiting("not-sent");
    }
    const now = this.#ports.now();
    if (this.#destination.kind !== "name" || this.#isResolving || now - this.#refusedAt < recheckMs) return;
    this.#refusedAt = now;
    void this.#resolve(true, upstream.candidate);
  }

  #keep(payload: Uint8Array): void {
    const giveBack =
      this.#waiting.length < mostWaiting ? this.#ports.budget.waiting(payload.length) : undefined;
    if (giveBack === undefined) this.#ports.dropped("too-many");
    else this.#waiting.push({ payload, giveBack });
  }

  #forgetWaiting(reason: DropReason | undefined): void {
    for (const { giveBack } of this.#waiting.splice(0)) {
      giveBack();
      if (reason !== undefined) this.#ports.dropped(reason);
    }
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
  return a.port === b.port && a.address === b.address;
}
