import { type Channel, type ChannelTaker, whenClosed } from "./channel.ts";

/** RFC 1928 §6 allows 10 s between a reply that refuses and the end of the connection; a client that reads needs no more than this. */
const lingerMs = 1_000;
const dropAll: ChannelTaker = { bytes: () => true, end() {} };

/**
 * Ends our direction, after `lastBytes`, then drops what the client still sends until it ends too, for a short time. Closing over unread
 * bytes would make the kernel send a reset, which can take the reply away from the client. Resolves when the connection is closed.
 */
export async function endConnection(client: Channel, lastBytes?: Uint8Array): Promise<void> {
  const { socket } = client;
  if (socket.closed) return;
  const limit = setTimeout(() => socket.destroy(), lingerMs);
  const closed = whenClosed(socket);
  if (lastBytes !== undefined) socket.write(lastBytes);
  socket.end();
  client.take(dropAll);
  await closed;
  clearTimeout(limit);
}
