import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/**
 * Below those that the system gives away of its own accord (Linux: from 32768 on), which could be taken again before a test uses one, and above
 * those that berth's parts have as their defaults.
 */
const [first, count] = [22_000, 10_000];

const address = "127.0.0.1";

/** A port nobody has at 127.0.0.1, TCP and UDP alike, for a part that has to be told its port. */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < 100; tried++) {
    const port = first + Math.floor(Math.random() * count);
    if ((await isFreeForTcp(port)) && (await isFreeForUdp(port))) return port;
  }
  throw new Error(`no port from ${first} on is free at ${address}`);
}

function isFreeForTcp(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, address, () => server.close(() => resolve(true)));
  });
}

function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket("udp4");
  return new Promise((resolve) => {
    socket.once("error", () => socket.close(() => resolve(false)));
    socket.bind({ port, address, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}
