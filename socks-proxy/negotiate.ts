import type { Socket } from "node:net";

import {
  encodeMethodSelection,
  Method,
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
  const timer = setTimeout(() => finish({ kind: "handshake-timeout" }), timeoutMs);
  let methodSelected = false;
  // Never long: both messages together have at most 519 octets, and what one read brings beyond them ends the hand-shake.
  let unread: Buffer = Buffer.alloc(0);
  client.on("data", take).once("end", leave).once("close", leave);
  return promise;

  function take(chunk: Buffer): void {
    unread = Buffer.concat([unread, chunk]);
    // A client may send its request without waiting for our choice of method, so both can be in one read.
    if (!methodSelected && !selectMethod()) return;
    const request = parseRequest(unread);
    if (request.kind === "fault") finish(request.fault);
    if (request.kind !== "value") return;
    unread = unread.subarray(request.length);
    finish({ kind: "request", request: request.value });
  }

  function selectMethod(): boolean {
    const methods = parseMethods(unread);
    if (methods.kind === "fault") finish(methods.fault);
    if (methods.kind !== "value") return false;
    unread = unread.subarray(methods.length);
    methodSelected = methods.value.includes(Method.NoAuthentication);
    client.write(encodeMethodSelection(methodSelected ? Method.NoAuthentication : Method.NoneAcceptable));
    if (!methodSelected) finish({ kind: "no-acceptable-method" });
    return methodSelected;
  }

  function leave(): void {
    finish({ kind: "client-gone" });
  }

  function finish(negotiation: Negotiation): void {
    clearTimeout(timer);
    client.off("data", take).off("end", leave).off("close", leave).pause();
    if (unread.length > 0) client.unshift(unread);
    resolve(negotiation);
  }
}
