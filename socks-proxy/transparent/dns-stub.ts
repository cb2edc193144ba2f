import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";

import { noPort } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { Answerer, Transport } from "./answerer.ts";
import { DnsConnection } from "./dns-connection.ts";

export interface DnsStub {
  /** Where it listens; the port is the real one when the system chose it. */
  address: ListenAddress;
  status(): { queries: number; dropped: number; waiting: number; connections: number };
  /** Ends every connection; what waits for an answer gets none. */
  close(): Promise<void>;
}

/** Queries over UDP that wait for their answers; more are dropped, and asked again by who still wants them. */
const mostWaiting = 4_096;
/** TCP clients at a time. */
const mostConnections = 256;
/** A burst from one program's start must find room: a thousand queries are some 100 KiB. */
const receiveBuffer = 1 << 20;
/** When the system chooses the port for UDP, the same one may be taken for TCP. */
const bindTries = 10;

/** What the stub needs of the rest. */
export interface DnsStubPorts {
  answerer: Answerer;
  /** Whether a client at this address is a program of this machine: others get no answer, which would be worth nothing to them. */
  isLocal: (address: string) => boolean;
  log: Log;
}

/** Answers DNS over UDP and TCP at one address. Rejects as Node's listen does. */
export async function openDnsStub(
  listen: ListenAddress,
  { answerer, isLocal, log }: DnsStubPorts,
): Promise<DnsStub> {
  const { udp, tcp, address } = await bindBoth(listen);
  const counts = { queries: 0, dropped: 0, waiting: 0 };
  const connections = new Set<DnsConnection>();

  /** An answer to everything: one query that breaks something here must not break the others. */
  async function answer(message: Uint8Array, transport: Transport): Promise<Uint8Array | undefined> {
    counts.queries++;
    try {
      return await answerer(message, transport);
    } catch (fault) {
      log.error(`a DNS query could not be answered, by a fault of the proxy's own: ${describeFault(fault)}`);
      return undefined;
    }
  }

  async function answerDatagram(message: Uint8Array, client: RemoteInfo): Promise<void> {
    if (client.port === noPort || !isLocal(client.address)) return;
    if (counts.waiting >= mostWaiting) {
      counts.dropped++;
      return;
    }
    counts.waiting++;
    const reply = await answer(message, "udp");
    counts.waiting--;
    if (reply !== undefined && !isClosed) udp.send(reply, client.port, client.address, noteNothing);
  }

  let isClosed = false;
  udp.on("error", (fault) => log.warn(`DNS over UDP: ${fault.message}`));
  udp.on("message", (message, client) => void answerDatagram(message, client));
  tcp.on("error", (fault) => log.warn(`DNS over TCP: ${fault.message}`));
  tcp.on("connection", (socket) => {
    const isWelcome = isLocal(socket.remoteAddress ?? "") && hasRoom(connections);
    if (!isWelcome) return void socket.destroy();
    const connection = new DnsConnection(socket, (message) => answer(message, "tcp"));
    connections.add(connection);
    socket.once("close", () => connections.delete(connection));
  });
  return {
    address,
    status: () => ({ ...counts, connections: connections.size }),
    async close() {
      isClosed = true;
      const closed = [once(udp, "close"), once(tcp, "close")];
      udp.close();
      tcp.close();
      for (const connection of connections) connection.destroy();
      await Promise.all(closed);
    },
  };
}

/** Who keeps a connection for later gives way to who comes with a query now (RFC 7766 §6.2.3). */
function hasRoom(connections: Set<DnsConnection>): boolean {
  if (connections.size < mostConnections) return true;
  for (const connection of connections) {
    if (!connection.isIdle) continue;
    connection.destroy();
    return connections.delete(connection);
  }
  return false;
}

async function bindBoth(
  listen: ListenAddress,
): Promise<{ udp: UdpSocket; tcp: Server; address: ListenAddress }> {
  for (let attempt = 1; ; attempt++) {
    const udp = await bindUdp(listen);
    const { port } = udp.address();
    try {
      const tcp = await listenTcp({ ...listen, port });
      return { udp, tcp, address: { host: (tcp.address() as AddressInfo).address, port } };
    } catch (fault) {
      udp.close();
      if (listen.port !== 0 || attempt === bindTries) throw fault;
    }
  }
}

async function bindUdp({ host, port }: ListenAddress): Promise<UdpSocket> {
  const socket = createSocket({ type: host.includes(":") ? "udp6" : "udp4", recvBufferSize: receiveBuffer });
  try {
    const listening = once(socket, "listening");
    socket.bind({ address: host, port, exclusive: true });
    await listening;
    return socket;
  } catch (fault) {
    socket.close();
    throw fault;
  }
}

async function listenTcp({ host, port }: ListenAddress): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  const listening = once(server, "listening");
  server.listen({ host, port, exclusive: true });
  await listening;
  return server;
}

/** A client that has gone gets no answer. */
function noteNothing(): void {}
