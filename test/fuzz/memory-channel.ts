import type { Socket } from "node:net";
import { Duplex } from "node:stream";

import { type Channel, type ChannelTaker, channelKey } from "../../socks-proxy/relay/channel.ts";
import type { MemoryWire } from "./memory-wire.ts";

/** As much as a system takes for a reader that does not read. */
const mostUnread = 16 * 1024;

/** The two ends of a connection in memory. */
export function memoryPair(wire: MemoryWire): [MemorySocket, MemorySocket] {
  const ends = [new MemorySocket(wire), new MemorySocket(wire)] as const;
  ends[0].peer = ends[1];
  ends[1].peer = ends[0];
  return [...ends];
}

/** What the proxy uses of a socket of node:net, without the system. It knows of no time: what is silent stays so. */
export class MemorySocket extends Duplex {
  peer!: MemorySocket;
  readonly connecting = false;
  readonly localAddress = "127.0.0.1";
  readonly localPort = 1081;
  readonly remoteAddress = "127.0.0.1";
  readonly remotePort = 50_000;
  bytesRead = 0;
  bytesWritten = 0;
  /** It ended by a reset of the other side. */
  wasReset = false;
  readonly #wire: MemoryWire;
  #unread = 0;
  #hasEnd = false;
  #whenRead: (() => void) | undefined;

  constructor(wire: MemoryWire) {
    super({ allowHalfOpen: true, writableHighWaterMark: 1 });
    this.#wire = wire;
    wire.open++;
    this.on("error", () => {});
  }

  /** As much of one as the proxy uses. */
  asSocket(): Socket {
    return this as unknown as Socket;
  }

  resetAndDestroy(): this {
    const { peer } = this;
    if (!this.destroyed) this.#wire.deliver(() => peer.#reset());
    return this.destroy();
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  setTimeout(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  override _read(): void {
    this.#unread = 0;
    const whenRead = this.#whenRead;
    this.#whenRead = undefined;
    whenRead?.();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    const { peer } = this;
    // The writer may use its buffer again as soon as this is done.
    const copy = Buffer.from(chunk);
    this.bytesWritten += copy.length;
    peer.#unread += copy.length;
    this.#wire.deliver(() => peer.#receive(copy));
    if (peer.#unread < mostUnread || peer.destroyed) done();
    else peer.#whenRead = done;
  }

  override _final(done: () => void): void {
    const { peer } = this;
    this.#wire.deliver(() => peer.#receive(null));
    done();
  }

  override _destroy(fault: Error | null, done: (fault: Error | null) => void): void {
    const { peer } = this;
    this.#wire.open--;
    // Without an end of our own before, the other side hears of one now; what it sends from here on is answered by a reset.
    if (!this.writableFinished) this.#wire.deliver(() => peer.#receive(null));
    this._read();
    done(fault);
  }

  #receive(chunk: Buffer | null): void {
    if (this.destroyed) {
      if (chunk !== null) this.#wire.deliver(() => this.peer.#reset());
      return;
    }
    if (this.#hasEnd) return;
    this.#hasEnd = chunk === null;
    this.bytesRead += chunk?.length ?? 0;
    this.push(chunk);
  }

  #reset(): void {
    if (this.destroyed) return;
    this.wasReset = true;
    this.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }));
  }
}

/** A channel over `socket`, which is known as its channel from now on. The bytes it lends are spoiled when it takes them back. */
export function memoryChannel(socket: MemorySocket): Channel {
  let taker: ChannelTaker | undefined;
  let lent: Buffer | undefined;
  let hasEnded = false;
  socket.pause();
  socket.on("data", (chunk: Buffer) => {
    lent = Buffer.from(chunk);
    if (taker?.bytes(lent) === true) takeBack();
    else socket.pause();
  });
  socket.once("end", () => {
    hasEnded = true;
    taker?.end();
  });
  function takeBack(): void {
    lent?.fill(spoilt);
    lent = undefined;
  }
  const channel: Channel = {
    socket: socket.asSocket(),
    take(next) {
      taker = next;
      channel.resume();
      if (hasEnded) queueMicrotask(() => taker?.end());
    },
    pause() {
      taker = undefined;
      socket.pause();
    },
    resume() {
      takeBack();
      socket.resume();
    },
    shrink() {},
  };
  Object.assign(socket, { [channelKey]: channel });
  return channel;
}

/** An octet that is no part of any of the cases' words. */
const spoilt = 0xee;
