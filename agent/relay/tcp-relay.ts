import { connect, createServer, type Server, type Socket } from "node:net";

import { formatEndpoint } from "../../shared/address.ts";
import { breakOff } from "../../shared/break-off.ts";
import { ClientLimit } from "./client-limit.ts";
import { listening, type OpenRelay, type RelayOptions } from "./open-relay.ts";

/** Of one relay. */
const mostConnections = 512;
/** The container is on this machine: what takes longer will not come. */
const connectLimitMs = 5_000;

/** Without a byte either way. Who keeps a connection for longer sends something now and then, because firewalls forget it sooner. */
const idleMs = 2 * 3_600_000;
/** Between two looks for idle connections. */
const shortestSweepMs = 60_000;
/** One towards the client, one towards the container. */
const descriptorsEach = 2;

/** Of each connection, towards its client; only what is used of it takes memory. */
const readSize = 64 * 1024;

const socketOptions = {
  // The end of one direction must not end the other (half-close, RFC 9293 §3.6).
  allowHalfOpen: true,
  noDelay: true,
  // A client whose machine lost its power would hold one of the places for ever.
  keepAlive: true,
  keepAliveInitialDelay: 60_000,
};

/** Listens, and relays every connection to the target. Bytes are held back, not stored, where a side reads slowly. */
export async function openTcpRelay(options: RelayOptions): Promise<OpenRelay> {
  return listening(new TcpRelay(options), options.listen);
}

interface Connection {
  client: Socket;
  upstream: Socket;
  activeAt: number;
}

class TcpRelay implements OpenRelay {
  readonly #options: RelayOptions;
  readonly #servers: Server[] = [];
  readonly #connections = new Set<Connection>();
  readonly #clientLimit: ClientLimit;
  #target: RelayOptions["target"];
  #finished: Promise<void> | undefined;
  #cancelSweep: (() => void) | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clientLimit = new ClientLimit(mostConnections, options);
    this.#target = options.target;
  }

  async listen(host: string): Promise<void> {
    const server = createServer(socketOptions, (client) => this.#accept(client));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.on("error", reject);
    server.listen({ host, port: this.#options.port, ipv6Only: true }, resolve);
    await promise;
    server.on("error", (fault) => this.#options.log.debug(`relay at ${host}: ${fault.message}`));
    this.#servers.push(server);
  }

  retarget(target: RelayOptions["target"]): void {
    if (target.address === this.#target.address && target.port === this.#target.port) return;
    this.#target = target;
    this.#cutAll();
  }

  finish(): Promise<void> {
    const ended = (server: Server) => new Promise((resolve) => server.close(resolve));
    this.#finished ??= Promise.all(this.#servers.map(ended)).then(() => undefined);
    return this.#finished;
  }

  async close(): Promise<void> {
    const finished = this.finish();
    this.#cutAll();
    await finished;
  }

  #accept(client: Socket): void {
    const { budget, counters } = this.#options;
    // What a fault means is said by the close that follows it.
    client.on("error", () => {});
    const isFull = this.#clientLimit.isFull(this.#connections.size);
    const giveBack = isFull ? undefined : budget.take(client.remoteAddress ?? "nobody", descriptorsEach);
    if (giveBack === undefined) {
      counters.connectionsRefused += 1;
      breakOff(client);
      return;
    }
    const connection = this.#connectUpstream(client);
    this.#connections.add(connection);
    this.#cancelSweep ??= this.#sweepAfter(idleMs);
    counters.connectionsOpen += 1;
    counters.connectionsTotal += 1;
    let open = 2;
    const closed = (socket: Socket, other: Socket) => () => {
      passCutOn(socket, other);
      open -= 1;
      if (open > 0 || !this.#connections.delete(connection)) return;
      counters.connectionsOpen -= 1;
      this.#clientLimit.left(this.#connections.size);
      giveBack();
    };
    client.once("close", closed(client, connection.upstream));
    connection.upstream.once("close", closed(connection.upstream, client));
  }

  #connectUpstream(client: Socket): Connection {
    const { clock, counters, log } = this.#options;
    const { address: host, port } = this.#target;
    const onread = { buffer: Buffer.allocUnsafeSlow(readSize), callback: passOut };
    const upstream = connect({ host, port, autoSelectFamily: false, onread, ...socketOptions });
    const connection = { client, upstream, activeAt: clock.now() };
    const cancelLimit = clock.after(connectLimitMs, () => upstream.destroy(new Error("it does not answer")));
    upstream.once("close", cancelLimit);
    const failed = (fault: Error): void => {
      counters.connectionsFailed += 1;
      log.debug(`relay to ${formatEndpoint({ address: host, port })}: ${fault.message}`);
    };
    upstream.once("error", failed);
    upstream.on("error", () => {});
    upstream.once("connect", () => {
      cancelLimit();
      upstream.off("error", failed);
      client.on("data", (chunk: Buffer) => {
        counters.bytesIn += chunk.length;
        connection.activeAt = clock.now();
      });
      client.pipe(upstream);
    });
    upstream.once("end", () => client.end());
    return connection;

    /** Half the processor time and memory of pipe(), which makes a new buffer for every read. Nothing is read into this one until what it holds is sent. */
    function passOut(length: number, buffer: Uint8Array): boolean {
      counters.bytesOut += length;
      connection.activeAt = clock.now();
      client.write(buffer.subarray(0, length), () => {
        if (client.writableLength === 0) upstream.resume();
      });
      return client.writableLength === 0;
    }
  }

  #sweepAfter(ms: number): () => void {
    const { clock, log } = this.#options;
    return clock.after(ms, () => {
      this.#cancelSweep = undefined;
      let nextMs = Number.POSITIVE_INFINITY;
      for (const connection of this.#connections) {
        const leftMs = connection.activeAt + idleMs - clock.now();
        nextMs = Math.min(nextMs, Math.max(leftMs, shortestSweepMs));
        if (leftMs > 0) continue;
        log.debug(`relay: a connection of ${connection.client.remoteAddress} was idle for too long`);
        cutBoth(connection);
      }
      if (Number.isFinite(nextMs)) this.#cancelSweep = this.#sweepAfter(nextMs);
    });
  }

  #cutAll(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    for (const connection of this.#connections) cutBoth(connection);
  }
}

function cutBoth({ client, upstream }: Connection): void {
  breakOff(upstream);
  breakOff(client);
}

/** A connection that broke off, or never came about, must not look like one that ended: the other side would take a part for the whole. */
function passCutOn(socket: Socket, other: Socket): void {
  if (!socket.readableEnded || !socket.writableFinished) breakOff(other);
}
