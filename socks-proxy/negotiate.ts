import type { Socket } from "node:net";

import {
  encodeMethodSelection,
  Method,
  type Parsed,
  parseMethods,
  parseRequest,
  type Request,
  type WireFault,
} from "./wire.ts";

export type Negotiation =
  | { kind: "request"; request: Request }
  | WireFault
  | { kind: "no-acceptable-method" }
  | { kind: "handshake-timeout" }
  | { kind: "client-gone" };

/**
 * Reads the client's methods and its request, and answers the first. The time limit is for the whole hand-shake: one per octet
 * would let a slow client stay for ever. Bytes that came early are put back, and the client is left paused, for the relay.
 */
export function negotiate(client: Socket, timeoutMs: number): Promise<Negotiation> {
  const { promise, resolve } = Promise.withResolvers<Negotiation>();
  const handshake = new Handshake((method) => client.write(encodeMethodSelection(method)));
  const timer = setTimeout(() => finish({ kind: "handshake-timeout" }), timeoutMs);
  client.on("data", take).once("end", leave).once("close", leave);
  return promise;

  function take(chunk: Buffer): void {
    const negotiation = handshake.read(chunk);
    if (negotiation !== undefined) finish(negotiation);
  }

  function leave(): void {
    finish({ kind: "client-gone" });
  }

  function finish(negotiation: Negotiation): void {
    clearTimeout(timer);
    client.off("data", take).off("end", leave).off("close", leave).pause();
    if (handshake.unread.length > 0) client.unshift(handshake.unread);
    resolve(negotiation);
  }
}

class Handshake {
  /** Never long: both messages together have at most 519 octets, and what one read brings beyond them ends the hand-shake. */
  unread: Buffer = Buffer.alloc(0);
  readonly #announce: (method: Method) => void;
  #methodSelected = false;

  constructor(announce: (method: Method) => void) {
    this.#announce = announce;
  }

  /** Undefined while more has to be read. */
  read(chunk: Buffer): Negotiation | undefined {
    this.unread = Buffer.concat([this.unread, chunk]);
    // A client may send its request without waiting for our choice of method, so both can be in one read.
    if (!this.#methodSelected) {
      const methods = this.#take(parseMethods);
      if (methods.kind === "incomplete") return undefined;
      if (methods.kind === "fault") return methods.fault;
      this.#methodSelected = methods.value.includes(Method.NoAuthentication);
      this.#announce(this.#methodSelected ? Method.NoAuthentication : Method.NoneAcceptable);
      if (!this.#methodSelected) return { kind: "no-acceptable-method" };
    }
    const request = this.#take(parseRequest);
    if (request.kind === "incomplete") return undefined;
    return request.kind === "fault" ? request.fault : { kind: "request", request: request.value };
  }

  #take<T>(parse: (bytes: Uint8Array) => Parsed<T>): Parsed<T> {
    const parsed = parse(this.unread);
    if (parsed.kind === "value") this.unread = this.unread.subarray(parsed.length);
    return parsed;
  }
}
