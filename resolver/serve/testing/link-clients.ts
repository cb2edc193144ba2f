import { once } from "node:events";
import { connect } from "node:tls";
import { WebSocket } from "ws";

export interface LinkPlace {
  port: number;
  ca: string;
  path: string;
}

/** An honest client: its messages in order, and the code it was closed with. */
export async function openLink({ port, ca, path }: LinkPlace, headers: Record<string, string> = {}) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, "berth.link.1", { ca, headers });
  const heard: string[] = [];
  socket.on("message", (message) => heard.push(message.toString()));
  const closed = once(socket, "close").then(([code]) => code as number);
  await once(socket, "open");
  return {
    socket,
    heard,
    closed,
    /** Sends, and resolves to the next message. */
    async ask(text: string): Promise<string> {
      const next = once(socket, "message");
      socket.send(text);
      return String((await next)[0]);
    },
  };
}

/** What a client that asks for an upgrade gets instead: status, header fields and text. */
export async function refusedLink(
  { port, ca, path }: LinkPlace,
  protocols: string[] = ["berth.link.1"],
): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
  const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, protocols, { ca });
  socket.on("error", () => undefined);
  const [, response] = await once(socket, "unexpected-response");
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, headers: response.headers, text };
}

/** The octets of a request for a link, with `more` fields; what follows in the same segment comes after them. */
export function upgradeOctets({ path }: LinkPlace, more: string[] = []): string {
  const fields = [
    `GET ${path} HTTP/1.1`,
    "host: 127.0.0.1",
    "connection: Upgrade",
    "upgrade: websocket",
    "sec-websocket-version: 13",
    "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    "sec-websocket-protocol: berth.link.1",
    ...more,
  ];
  return `${fields.join("\r\n")}\r\n\r\n`;
}

/** A client's frame, masked with zeros: text (1), binary (2), close (8), ping (9). */
export function frame(opcode: number, payload: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]),
    Buffer.from(payload),
  ]);
}

/** A connection that does only what the test tells it to, and collects what it reads. */
export async function connectRaw({ port, ca }: LinkPlace) {
  const socket = connect({ host: "127.0.0.1", port, ca, ALPNProtocols: ["http/1.1"] });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return { socket, read: () => Buffer.concat(chunks) };
}
