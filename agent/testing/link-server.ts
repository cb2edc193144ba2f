import { createServer, type IncomingMessage, STATUS_CODES } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

import { WebSocketServer } from "ws";

import { type FakeResolver, statusOf } from "./fake-resolver.ts";

export interface LinkServer {
  url: string;
  pings(): number;
  /** Close codes the agent's side ended with. */
  codes: number[];
  close(): Promise<void>;
}

/** A FakeResolver behind real sockets on loopback. With `tls`, PEM texts, it speaks https. */
export async function serveFakeResolver(
  resolver: FakeResolver,
  tls?: { key: string; cert: string },
): Promise<LinkServer> {
  const server = tls === undefined ? createServer() : createSecureServer(tls);
  const links = new WebSocketServer({ noServer: true, handleProtocols: () => "berth.link.1" });
  const codes: number[] = [];
  let pings = 0;
  server.on("request", async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = chunks.length === 0 ? undefined : new Uint8Array(Buffer.concat(chunks));
    const reply = await resolver.answer({ ...partsOf(request), body });
    response.writeHead(reply.status, Object.fromEntries(reply.headers));
    response.end(await reply.text());
  });
  server.on("upgrade", async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { url, headers } = partsOf(request);
    try {
      const epoch = await resolver.acceptLink(url, headers);
      links.handleUpgrade(request, socket, head, (link) => {
        link.on("close", (code) => codes.push(code));
        link.on("message", () => {
          pings += 1;
          if (resolver.takesPing(epoch)) link.send("pong");
          else link.close(4409);
        });
      });
    } catch (fault) {
      const status = statusOf(fault);
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      );
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  const close = async (): Promise<void> => {
    for (const link of links.clients) link.terminate();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url, pings: () => pings, codes, close };
}

function partsOf(request: IncomingMessage): { method: string; url: URL; headers: Headers } {
  const { method = "", url = "", headers } = request;
  const given = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
  return { method, url: new URL(url, `http://${headers.host}`), headers: new Headers(given) };
}
