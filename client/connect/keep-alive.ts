import { type Address, isLoopback } from "../../shared/address.ts";

/** What is needed of a socket of node:net. */
interface TcpSocket {
  readonly connecting: boolean;
  once(event: "connect", heard: () => void): unknown;
  setKeepAlive(on: boolean, idleMs: number, intervalMs: number, probes: number): unknown;
}

/** Without a byte for so long the other side is asked whether it is there; less would keep sleeping radios awake. */
const idleMs = 60_000;
/** A network that is away for less than two minutes costs no connection. Node's own second times ten would let a change of the network end it. */
const intervalMs = 15_000;
const probes = 8;

/**
 * Lets the system end the connection, with ETIMEDOUT, when `peer` has vanished without a word, as a machine does that lost its power or its
 * network (RFC 9293 §3.8.4): after some three minutes without a byte. A peer on loopback cannot vanish, and costs no system call.
 */
export function noticeVanishing(socket: TcpSocket, peer: Address): void {
  if (isLoopback(peer)) return;
  const notice = (): void => void socket.setKeepAlive(true, idleMs, intervalMs, probes);
  // Before there is a connection, Node has nothing yet to set it on.
  if (socket.connecting) socket.once("connect", notice);
  else notice();
}
