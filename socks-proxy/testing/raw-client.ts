import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { Command } from "../socks/wire.ts";

/** VER 5, one method: no authentication. */
export const greeting = Uint8Array.of(5, 1, 0);

/** A client that writes and reads SOCKS by the octet. */
export interface RawClient {
  socket: Socket;
  send(...octets: (number | Uint8Array)[]): void;
  /** The next `count` octets; rejects when the connection ends before them. */
  read(count: number): Promise<Buffer>;
  /** Everything until the other side ends. */
  readToEnd(): Promise<Buffer>;
}

export async function connectRaw(port: number, host = "127.0.0.1"): Promise<RawClient> {
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, "connect");
  return rawClientOf(socket);
}

/** A raw client whose CONNECT to `name` and `port` has been sent, with the method reply read. */
export async function requestName(proxyPort: number, name: string, port: number): Promise<RawClient> {
  const client = await connectRaw(proxyPort);
  client.send(greeting, nameRequest(name, port));
  await client.read(2);
  return client;
}

export function nameRequest(name: string, port: number, command: number = Command.Connect): Uint8Array {
  const octets = Buffer.from(name);
  return Uint8Array.of(5, command, 0, 3, octets.length, ...octets, port >> 8, port & 255);
}

/** A SOCKS4 request, or with a name a SOCKS4a one. */
export function socks4Request(wanted: {
  address?: readonly [number, number, number, number];
  name?: string;
  port: number;
  user?: string;
  command?: number;
}): Uint8Array {
  const { address = [0, 0, 0, 1], name, port, user = "", command = Command.Connect } = wanted;
  const texts = name === undefined ? [user] : [user, name];
  const ended = texts.flatMap((text) => [...Buffer.from(text), 0]);
  return Uint8Array.of(4, command, port >> 8, port & 255, ...address, ...ended);
}

/** The sub-negotiation of RFC 1929. */
export function credentials(name: string, password: string): Uint8Array {
  const [nameOctets, passwordOctets] = [Buffer.from(name), Buffer.from(password)];
  return Uint8Array.of(1, nameOctets.length, ...nameOctets, passwordOctets.length, ...passwordOctets);
}

function rawClientOf(socket: Socket): RawClient {
  let unread = Buffer.alloc(0);
  let ended = false;
  let wake = Promise.withResolvers<void>();
  function change(): void {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  }
  function stop(): void {
    ended = true;
    change();
  }
  socket.on("data", (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk]);
    change();
  });
  socket.on("error", () => {});
  socket.on("end", stop).on("close", stop);

  function take(count: number): Buffer {
    const taken = unread.subarray(0, count);
    unread = unread.subarray(count);
    return taken;
  }
  return {
    socket,
    send(...octets) {
      socket.write(Buffer.concat(octets.map((part) => (typeof part === "number" ? Buffer.of(part) : part))));
    },
    async read(count) {
      while (unread.length < count) {
        if (ended) throw new Error(`the connection ended after ${unread.length} of ${count} octets`);
        await wake.promise;
      }
      return take(count);
    },
    async readToEnd() {
      while (!ended) await wake.promise;
      return take(unread.length);
    },
  };
}
