import type { ServerResponse } from "node:http";

import type { Destination } from "../../client/answers/destination.ts";
import { parseAddress } from "../../shared/address.ts";
import { breakOff } from "../../shared/break-off.ts";
import { type ChannelDuplex, duplexOf } from "../relay/channel-duplex.ts";
import type { ServedConnection } from "../served-connection.ts";
import { HttpUpstreams } from "./http-upstreams.ts";

/** Milliseconds. */
export interface HttpTimes {
  /** For the first request's head. */
  handshake: number;
  /** Infinity for no limit. */
  idle: number;
}

/** How long a connection is kept for a next request, at most; browsers and proxies keep them for a minute or so. */
const mostQuietMs = 60_000;

/**
 * After our end the client has so many milliseconds to take what was said and end too. To close at once, over bytes it still sends, would
 * make the kernel send a reset, which can take the answer away from it.
 */
const lingerMs = 1_000;

/** Requests that a client may send before the first of them is answered. */
const mostWaiting = 64;

/** One connection of an HTTP client, and what goes on over it. */
export class HttpClient {
  readonly connection: ServedConnection;
  readonly stream: ChannelDuplex;
  readonly upstreams: HttpUpstreams;
  /** Who has proved to ask last. */
  user: string | undefined;
  /** What the connection has become, after CONNECT or an upgrade. */
  tunnel: Promise<void> | undefined;
  readonly #times: HttpTimes;
  #exchanges = 0;
  #answered: Promise<void> = Promise.resolve();
  readonly #unanswered = new Set<() => void>();
  #deadline: NodeJS.Timeout | undefined;

  constructor(connection: ServedConnection, early: Uint8Array, times: HttpTimes) {
    this.connection = connection;
    this.stream = duplexOf(connection.channel, early);
    this.upstreams = new HttpUpstreams(times.idle);
    this.#times = times;
    // What goes wrong shows in the close that follows; unheard, the event would end the process.
    this.stream.on("error", () => {});
    this.stream.once("close", () => {
      clearTimeout(this.#deadline);
      this.upstreams.close();
      for (const end of this.#unanswered) end();
    });
    this.stream.once("finish", () => this.#awaitHead(lingerMs));
    connection.endInOrder = () => this.#endInOrder();
    this.#awaitHead(times.handshake);
  }

  /** No other request of this connection is still to be answered. */
  get isFree(): boolean {
    return this.#exchanges === 0;
  }

  /** An answer has been given that is not sent yet. */
  get isAnswering(): boolean {
    return this.#unanswered.size > 0;
  }

  /** Whether `destination` is where this very connection was accepted. */
  isAt(destination: Destination): boolean {
    const { localAddress, localPort } = this.connection.channel.socket;
    if (destination.kind === "name" || destination.port !== localPort) return false;
    return parseAddress(localAddress ?? "") === destination.address;
  }

  /**
   * Resolves when it is this response's turn, to false when there is nobody to answer by then. Requests that a client sends at once are answered
   * one after the other: a response that waits would not even be told that nobody is there any more.
   */
  async turn(response: ServerResponse): Promise<boolean> {
    const before = this.#answered;
    const { promise, resolve } = Promise.withResolvers<void>();
    const end = (): void => {
      this.#unanswered.delete(end);
      resolve();
    };
    this.#unanswered.add(end);
    response.once("close", end);
    this.#answered = promise;
    if (this.#exchanges > mostWaiting) this.breakOff();
    await before;
    // After the last answer nothing more is asked, whatever else the client has sent.
    return !this.stream.destroyed && !this.stream.writableEnded;
  }

  /** A head has come. To be told of its answer's end as well. */
  begin(): void {
    this.#exchanges++;
    this.connection.isWaiting = true;
    clearTimeout(this.#deadline);
  }

  end(): void {
    this.#exchanges--;
    this.connection.isWaiting = !this.isFree;
    if (this.isFree && this.tunnel === undefined && !this.stream.writableFinished) {
      this.#awaitHead(Math.min(this.#times.idle, mostQuietMs));
    }
  }

  /** By a reset: to a client that reads until the end, any other would look like the whole. */
  breakOff(): void {
    breakOff(this.connection.channel.socket);
  }

  /** Whole heads count, so that one octet now and then keeps no connection (slowloris). */
  #awaitHead(ms: number): void {
    clearTimeout(this.#deadline);
    if (this.stream.destroyed) return;
    this.#deadline = setTimeout(() => this.stream.destroy(), ms).unref();
  }

  #endInOrder(): void {
    const { socket } = this.connection.channel;
    if (!this.isFree) this.breakOff();
    else if (!socket.writableEnded) socket.destroySoon();
  }
}
