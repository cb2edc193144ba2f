import { Duplex } from "node:stream";

import type { Channel } from "./channel.ts";

/** The channel as a stream, for code that wants one, such as Node's HTTP parser; what is read of it begins with `early`. */
export function duplexOf(channel: Channel, early: Uint8Array): ChannelDuplex {
  return new ChannelDuplex(channel, early);
}

type Callback = (fault?: Error | null) => void;

/** Ends, resets and closes as its connection does, and takes the connection with it when it is destroyed. */
export class ChannelDuplex extends Duplex {
  readonly #channel: Channel;
  #isTaken = false;
  #isReleased = false;
  readonly #fail = (fault: Error): void => void this.destroy(fault);
  readonly #close = (): void => void this.destroy();
  readonly #timeOut = (): void => void this.emit("timeout");

  constructor(channel: Channel, early: Uint8Array) {
    super({ allowHalfOpen: true });
    this.#channel = channel;
    channel.socket.once("error", this.#fail).once("close", this.#close).on("timeout", this.#timeOut);
    if (early.length > 0) this.push(Buffer.from(early));
  }

  get remoteAddress(): string | undefined {
    return this.#channel.socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#channel.socket.remotePort;
  }

  /** As a socket's: `timeout` is emitted after so many milliseconds without a byte; 0 for never. */
  setTimeout(ms: number, listener?: () => void): this {
    this.#channel.socket.setTimeout(ms);
    if (listener !== undefined) this.once("timeout", listener);
    return this;
  }

  /**
   * Gives the channel back, with what was read of it and not yet taken from this stream, which is of no more use. To be called when
   * everything written here has been sent, as after an upgrade request.
   */
  release(): { channel: Channel; early: Uint8Array } {
    const { socket } = this.#channel;
    this.#isReleased = true;
    this.#channel.pause();
    socket.setTimeout(0);
    socket.off("error", this.#fail).off("close", this.#close).off("timeout", this.#timeOut);
    const unread = this.read() as Buffer | null;
    return { channel: this.#channel, early: unread ?? new Uint8Array(0) };
  }

  override _read(): void {
    if (this.#isReleased) return;
    if (this.#isTaken) {
      this.#channel.resume();
      return;
    }
    this.#isTaken = true;
    this.#channel.take({
      // The bytes are the channel's; a stream keeps them until somebody reads them.
      bytes: (chunk) => this.push(Buffer.from(chunk)),
      end: () => void this.push(null),
    });
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: Callback): void {
    this.#channel.socket.write(chunk, done);
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: Callback): void {
    const { socket } = this.#channel;
    socket.cork();
    for (const [index, { chunk }] of chunks.entries()) {
      if (index === chunks.length - 1) socket.write(chunk, done);
      else socket.write(chunk);
    }
    socket.uncork();
  }

  override _final(done: Callback): void {
    this.#channel.socket.end(done);
  }

  override _destroy(fault: Error | null, done: Callback): void {
    if (!this.#isReleased) this.#channel.socket.destroy();
    done(fault);
  }
}
