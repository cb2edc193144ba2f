import { createSocket } from "node:dgram";
import { createServer } from "node:net";

/**
 * Below those that the system gives away of its own accord (Linux: from 32768 on), which could be taken again before a test uses one, and above
 * those that berth's parts have as their defaults.
 */
const [first, count] = [22_000, 10_000];

/** A port nobody has at `host`, TCP and UDP alike, for a part that has to be told its port. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if ((await isFreeForTcp(port, host)) && (await isFreeForUdp(port, host))) return port;
  }
}

function isFreeForTcp(port: number, host: string): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

function isFreeForUdp(port: number, address: string): Promise<boolean> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  return new Promise((resolve) => {
    socket.once("error", () => socket.close(() => resolve(false)));
    socket.bind({ port, address, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}
