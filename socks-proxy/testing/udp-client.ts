import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

/** A UDP socket on loopback whose datagrams are read one by one. */
export interface UdpPeer {
  socket: Socket;
  port: number;
  send(datagram: Uint8Array, port: number, host?: string): void;
  /** The next datagram; ends with the test's own time limit when none comes. */
  next(): Promise<{ datagram: Buffer; port: number; host: string }>;
  /** Those that came and nobody has asked for. */
  unread(): number;
  close(): void;
}

export async function openUdpPeer(host = "127.0.0.1"): Promise<UdpPeer> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const came: { datagram: Buffer; port: number; host: string }[] = [];
  let wake = Promise.withResolvers<void>();
  socket.on("error", () => {});
  socket.on("message", (datagram, from) => {
    came.push({ datagram, port: from.port, host: from.address });
    wake.resolve();
    wake = Promise.withResolvers<void>();
  });
  socket.bind(0, host);
  await once(socket, "listening");
  return {
    socket,
    port: socket.address().port,
    send: (datagram, port, to = host) => socket.send(datagram, port, to, () => {}),
    async next() {
      for (;;) {
        const first = came.shift();
        if (first !== undefined) return first;
        await wake.promise;
      }
    },
    unread: () => came.length,
    close: () => socket.close(),
  };
}

/** A peer that sends everything back to where it came from. */
export async function openUdpEcho(host = "127.0.0.1"): Promise<UdpPeer> {
  const peer = await openUdpPeer(host);
  peer.socket.on("message", (datagram, from) => peer.send(datagram, from.port, from.address));
  return peer;
}

/** A datagram to a name, with the header of RFC 1928 §7. */
export function datagramTo(name: string, port: number, payload: Uint8Array | string, fragment = 0): Buffer {
  const octets = Buffer.from(name);
  const header = Buffer.of(0, 0, fragment, 3, octets.length, ...octets, port >> 8, port & 255);
  return Buffer.concat([header, Buffer.from(payload)]);
}

/** A datagram to an IPv4 address. */
export function datagramToIpv4(address: string, port: number, payload: Uint8Array | string): Buffer {
  const header = Buffer.of(0, 0, 0, 1, ...address.split(".").map(Number), port >> 8, port & 255);
  return Buffer.concat([header, Buffer.from(payload)]);
}
