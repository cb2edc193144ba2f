import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";

import type { ListenAddress } from "../../../shared/config.ts";
import { decodeResponse, encodeQuery, type Response } from "../../../shared/dns/message.ts";
import { parseName } from "../../../shared/name.ts";
import { MessageFrames, withLength } from "../tcp-frames.ts";

/** Asks by UDP. */
export async function ask(at: ListenAddress, name: string, type: number): Promise<Response> {
  return decodeResponse(await exchange(at, encodeQuery(parseName(name), type)));
}

/** Sends a datagram, and waits for one. */
export async function exchange(at: ListenAddress, message: Uint8Array): Promise<Uint8Array> {
  const socket = createSocket("udp4");
  try {
    socket.connect(at.port, at.host);
    await once(socket, "connect");
    const answered = once(socket, "message");
    socket.send(message);
    const [answer] = (await answered) as [Uint8Array];
    return answer;
  } finally {
    socket.close();
  }
}

/** Sends all of them at once over one connection, ends its direction, and collects what comes until the server ends too. */
export async function askAllByTcp(at: ListenAddress, messages: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const socket = connect({ host: at.host, port: at.port, allowHalfOpen: true });
  const frames = new MessageFrames();
  const answers: Uint8Array[] = [];
  socket.on("data", (bytes) => {
    frames.add(bytes);
    for (let next = frames.next(); next !== undefined; next = frames.next()) {
      answers.push(Uint8Array.from(next));
    }
  });
  socket.end(Buffer.concat(messages.map(withLength)));
  await once(socket, "end");
  return answers;
}

/** The first octets a connection gives, after sending some; "reset" when it is broken off. */
export async function talk(host: string, port: number, text: string): Promise<string> {
  const socket = connect({ host, port });
  try {
    await once(socket, "connect");
    const answered = once(socket, "data");
    socket.write(text);
    const [bytes] = (await answered) as [Buffer];
    return bytes.toString();
  } finally {
    socket.destroy();
  }
}
