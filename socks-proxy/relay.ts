import type { Socket } from "node:net";

/** `cut`: one side broke off, and the other was told so by a reset. */
export type RelayEnd = "ended" | "idle" | "cut";

/**
 * Copies bytes both ways until both directions have ended. The end of one direction ends only that one (half-close, RFC 9293 §3.6).
 * Without a byte in either direction for `idleMs`, both connections close.
 */
export async function relay(client: Socket, upstream: Socket, idleMs: number): Promise<RelayEnd> {
  let end: RelayEnd = "ended";
  // Every byte relayed is a read on one socket and a write on the other, so either's timer stands for both. Both are set, because
  // one socket may close while the other still waits for a slow reader.
  for (const socket of [client, upstream]) socket.setTimeout(idleMs, closeIdle);
  const closed = [whenClosed(client), whenClosed(upstream)];
  client.once("close", () => passCutOn(client, upstream));
  upstream.once("close", () => passCutOn(upstream, client));
  client.pipe(upstream);
  upstream.pipe(client);
  await Promise.all(closed);
  return end;

  function closeIdle(): void {
    end = "idle";
    client.destroy();
    upstream.destroy();
  }

  /** A connection that broke off must not look like one that ended: the other side would take a part for the whole. */
  function passCutOn(socket: Socket, other: Socket): void {
    if (end === "idle" || (socket.readableEnded && socket.writableFinished)) return;
    end = "cut";
    other.resetAndDestroy();
  }
}

function whenClosed(socket: Socket): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.once("close", () => resolve());
  return promise;
}
