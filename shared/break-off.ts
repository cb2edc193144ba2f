/** What is needed of a socket of node:net. */
interface ConnectedSocket {
  readonly connecting: boolean;
  readonly destroyed: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly writableLength: number;
  once(event: "finish", heard: () => void): unknown;
  destroy(): unknown;
  resetAndDestroy(): unknown;
}

/**
 * Ends a connection by a reset, so that the other side takes no part for the whole; one that is not yet connected is just given up.
 * The socket emits `close` in every case.
 */
export function breakOff(socket: ConnectedSocket): void {
  // Node would wait for a connect under way before it resets.
  if (socket.connecting) socket.destroy();
  // The system resets none in the middle of our own end, and Node would keep such a one open for good. It is a matter of a moment.
  else if (isEnding(socket)) socket.once("finish", () => socket.resetAndDestroy());
  else socket.resetAndDestroy();
}

function isEnding({ writableEnded, writableLength, writableFinished, destroyed }: ConnectedSocket): boolean {
  return writableEnded && writableLength === 0 && !writableFinished && !destroyed;
}
