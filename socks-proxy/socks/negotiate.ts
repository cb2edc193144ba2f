import type { Channel } from "../relay/channel.ts";
import { Handshake, type HandshakeOutcome, type Users } from "./handshake.ts";

export type Negotiation =
  | HandshakeOutcome
  | { kind: "handshake-timeout" }
  /** It ended its direction, or the whole connection, before its request was complete. */
  | { kind: "client-gone" };

export interface NegotiateOptions {
  /** Given, each client has to prove to be one of them. */
  users: Users | undefined;
  /** Milliseconds for the whole hand-shake: a limit for each octet would let a slow client stay for ever. */
  timeoutMs: number;
}

/**
 * Reads what the client wants and says what its protocol has the server say until then. What is not a request or HTTP has been answered
 * already, and the connection is to be ended. Octets that came early are given back. The channel goes on being read, as stopping and
 * starting again costs system calls: the next taker has to take it, or pause it, as soon as this resolves. Never rejects.
 */
export function negotiate(channel: Channel, { users, timeoutMs }: NegotiateOptions): Promise<Negotiation> {
  const { promise, resolve } = Promise.withResolvers<Negotiation>();
  const { socket } = channel;
  const handshake = new Handshake(users);
  const timer = setTimeout(() => finish({ kind: "handshake-timeout" }), timeoutMs);
  let isOver = false;
  socket.once("close", leave);
  channel.take({ bytes, end: leave });
  return promise;

  function bytes(chunk: Uint8Array): boolean {
    // Nobody has taken the channel.
    if (isOver) return false;
    const { send, outcome } = handshake.read(chunk);
    if (send.length > 0) socket.write(send);
    if (outcome !== undefined) finish(outcome);
    return true;
  }

  function leave(): void {
    finish({ kind: "client-gone" });
  }

  function finish(negotiation: Negotiation): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    socket.off("close", leave);
    resolve(negotiation);
  }
}
