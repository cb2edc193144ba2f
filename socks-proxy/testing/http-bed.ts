import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

import { serviceRecords } from "../../client/testing/doh-server.ts";
import type { ProxyConfig } from "../config.ts";
import { type ProxyBed, startBed } from "./proxy.ts";

/** A proxy with HTTP servers behind it, which are published as names of the zone. */
export interface HttpBed extends ProxyBed {
  /** Starts an HTTP server and publishes it as `name` at port 80. */
  site(name: string, serve: (request: IncomingMessage, response: ServerResponse) => void): Promise<Site>;
  /** Starts a server that is given each connection as it is, published likewise. */
  rawSite(name: string, serve: (socket: Socket) => void): Promise<void>;
  /** Sends `text` to the proxy; resolves to all that comes back until the connection ends. */
  sent(text: string): Promise<string>;
  /** A client below HTTP. */
  client(): Promise<HttpTestClient>;
}

export interface Site {
  server: Server;
  port: number;
  /** Connections it has accepted. */
  connections: Socket[];
}

export interface HttpTestClient {
  socket: Socket;
  /** All that came so far. */
  text(): string;
  /** Resolves once `wanted` is in what came, or rejects when the connection ends before. */
  until(wanted: string | RegExp): Promise<string>;
  /** Resolves to the fault the connection ended with, or to undefined. */
  closed: Promise<Error | undefined>;
}

export async function startHttpBed(
  config: Partial<{ -readonly [K in keyof ProxyConfig]: ProxyConfig[K] }> = {},
): Promise<HttpBed> {
  const bed = await startBed([], config);
  const closers: (() => void)[] = [];
  function publish(name: string, port: number): void {
    bed.resolver.records.push(...serviceRecords(name, 80, [{ address: "127.0.0.1", port }]));
  }
  async function client(): Promise<HttpTestClient> {
    const opened = await openClient(bed.port);
    closers.push(() => opened.socket.destroy());
    return opened;
  }
  return {
    ...bed,
    client,
    async site(name, serve) {
      const server = createServer(serve);
      const connections: Socket[] = [];
      server.on("connection", (socket) => connections.push(socket));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      closers.push(
        () => void server.close().closeAllConnections(),
        () => connections.forEach((one) => void one.destroy()),
      );
      const { port } = server.address() as AddressInfo;
      publish(name, port);
      return { server, port, connections };
    },
    async rawSite(name, serve) {
      publish(name, await bed.upstream(serve));
    },
    async sent(text) {
      const opened = await client();
      opened.socket.write(text);
      await opened.closed;
      return opened.text();
    },
    async close() {
      for (const close of closers) close();
      await bed.close();
    },
  };
}

/** One with other settings, in the place of `bed`. */
export async function anotherHttpBed(
  bed: HttpBed,
  config: Parameters<typeof startHttpBed>[0],
): Promise<HttpBed> {
  await bed.close();
  return startHttpBed(config);
}

async function openClient(port: number): Promise<HttpTestClient> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  let text = "";
  let wake = Promise.withResolvers<void>();
  const { promise: closed, resolve } = Promise.withResolvers<Error | undefined>();
  let fault: Error | undefined;
  const change = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  socket.setEncoding("latin1");
  socket.on("data", (chunk) => {
    text += chunk;
    change();
  });
  socket.on("error", (error) => {
    fault = error;
  });
  socket.on("end", () => socket.end());
  socket.on("close", () => {
    resolve(fault);
    change();
  });
  await once(socket, "connect");
  return {
    socket,
    closed,
    text: () => text,
    async until(wanted) {
      const isThere = (): boolean => (typeof wanted === "string" ? text.includes(wanted) : wanted.test(text));
      while (!isThere()) {
        if (socket.closed) throw new Error(`the connection ended after ${JSON.stringify(text)}`);
        await wake.promise;
      }
      return text;
    },
  };
}
