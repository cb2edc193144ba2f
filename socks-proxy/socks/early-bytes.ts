import type { Channel } from "../relay/channel.ts";

/** More than what a program sends before it knows that it is connected; beyond it the client is read no further. */
const mostBytes = 16 * 1024;

/**
 * Goes on reading a client while its endpoint is connected to: only a connection that is read shows that the client has left. The bytes
 * are kept for the relay, behind those of `first`.
 */
export function keepEarlyBytes(client: Channel, first: Uint8Array): { taken(): Uint8Array } {
  let bytes = first;
  client.take({
    bytes(chunk) {
      bytes = Buffer.concat([bytes, chunk]);
      return bytes.length < mostBytes;
    },
    // Told to the next taker as well.
    end() {},
  });
  return { taken: () => bytes };
}
