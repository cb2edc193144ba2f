import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

import { closedPort } from "../../client/testing/closed-port.ts";
import { connectRaw, type RawClient } from "../../socks-proxy/testing/raw-client.ts";
import { openUdpPeer, type UdpPeer } from "../../socks-proxy/testing/udp-client.ts";
import type { ConformanceBed, ServerName } from "./row.ts";
import { startServer } from "./servers.ts";

export interface StartedBed {
  bed: ConformanceBed;
  /** Closes what rows have opened; to be called after each. */
  tidy(): void;
  close(): Promise<void>;
}

/** A server and its targets, all on loopback. */
export async function startConformanceBed(name: ServerName): Promise<StartedBed> {
  const target = await startEcho("127.0.0.1");
  const target6 = await startEcho("::1");
  const udp = createSocket("udp4");
  udp.on("message", (datagram, from) => udp.send(datagram, from.port, from.address, () => {}));
  udp.bind(target.port, "127.0.0.1");
  await once(udp, "listening");
  const server = await startServer(name, target.port);
  const clients: RawClient[] = [];
  const peers: UdpPeer[] = [];
  const kept = async <T>(opening: Promise<T>, among: T[]): Promise<T> => {
    const opened = await opening;
    among.push(opened);
    return opened;
  };
  return {
    bed: {
      name,
      connect: () => kept(connectRaw(server.port), clients),
      connectToGuarded: () => kept(connectRaw(server.guardedPort), clients),
      echo: { address: [127, 0, 0, 1], port: target.port, name: server.echoName },
      echo6: { port: target6.port },
      async nextRemotePort() {
        const [socket] = (await once(target.server, "connection")) as [Socket];
        return socket.remotePort ?? 0;
      },
      closedPort: await closedPort(),
      absentName: server.absentName,
      udpPeer: (host) => kept(openUdpPeer(host), peers),
    },
    tidy() {
      for (const { socket } of clients.splice(0)) socket.destroy();
      for (const peer of peers.splice(0)) peer.close();
    },
    async close() {
      await server.close();
      udp.close();
      target.close();
      target6.close();
    },
  };
}

async function startEcho(host: string): Promise<{ server: Server; port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.pipe(socket);
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
