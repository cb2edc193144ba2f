import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

import type { Address } from "../../shared/address.ts";
import type { RelayOptions } from "../relay/open-relay.ts";
import { noTraffic } from "../relay/open-relay.ts";
import { RelayBudget } from "../relay/relay-budget.ts";
import { FakeClock } from "./fake-clock.ts";
import { RecordedLog } from "./recorded-log.ts";

export const loopback = "127.0.0.1" as Address;
export const otherLoopback = "127.0.0.2" as Address;

/** Servers and clients on real sockets that all end with `close`. */
export class RelayStand {
  readonly clock = new FakeClock();
  readonly log = new RecordedLog();
  readonly counters = { ...noTraffic };
  budget = new RelayBudget(16_384, this.log);
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  /** The port of a TCP server that stands for a container's. Its sockets allow half-close. */
  async serve(connection: (socket: Socket) => void, host: string = loopback): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (socket) => connection(this.#track(socket)));
    this.#servers.push(server);
    await new Promise<void>((ready) => server.listen(0, host, ready));
    return (server.address() as AddressInfo).port;
  }

  /** A client's socket, which allows half-close. */
  connect(port: number, host: string = loopback): Socket {
    return this.#track(connect({ host, port, allowHalfOpen: true }));
  }

  options(port: number, targetPort: number, listen: readonly Address[] = [loopback]): RelayOptions {
    const target = { address: loopback, port: targetPort };
    const { budget, clock, counters, log } = this;
    return { listen, port, target, counters, budget, clock, log };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((closed) => server.close(closed))));
  }

  #track(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
  }
}

/** All that a socket brings until its end; rejects when it breaks off. */
export async function textOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** The next event, or fault, of an emitter. */
export function whenEvent(socket: Socket, name: string): Promise<unknown> {
  return new Promise((resolve) => socket.once(name, resolve));
}
