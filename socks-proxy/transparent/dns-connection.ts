import type { Socket } from "node:net";

import { MessageFrames, withLength } from "./tcp-frames.ts";

export interface DnsConnectionLimits {
  /** Queries of one connection that wait for their answers; more are not read until some have them (RFC 7766 §6.2.1). */
  mostWaiting: number;
  /** Milliseconds without a whole message either way: it counts neither single octets nor an answer that is not taken. */
  idleMs: number;
}

const standardLimits: DnsConnectionLimits = { mostWaiting: 64, idleMs: 15_000 };
/** Octets of answers a slow reader may leave lying. */
const mostUnsent = 256 * 1024;

/** One TCP client: any number of queries one behind the other, each answered as soon as its answer is there (RFC 7766 §6.2.1.1). */
export class DnsConnection {
  readonly #socket: Socket;
  readonly #answer: (message: Uint8Array) => Promise<Uint8Array | undefined>;
  readonly #limits: DnsConnectionLimits;
  readonly #frames = new MessageFrames();
  #waiting = 0;
  #hasEnded = false;
  #idle: NodeJS.Timeout | undefined;

  /** The socket must allow half-close: a client may end its direction behind its last query. */
  constructor(
    socket: Socket,
    answer: (message: Uint8Array) => Promise<Uint8Array | undefined>,
    limits = standardLimits,
  ) {
    this.#socket = socket;
    this.#answer = answer;
    this.#limits = limits;
    this.#restIdle();
    // The close event follows.
    socket.on("error", () => {});
    socket.once("close", () => clearTimeout(this.#idle));
    socket.on("data", (bytes) => {
      this.#frames.add(bytes);
      this.#readOn();
    });
    socket.on("drain", () => this.#readOn());
    socket.once("end", () => {
      this.#hasEnded = true;
      this.#endWhenDone();
    });
  }

  /** Whether nobody waits for anything of it now. */
  get isIdle(): boolean {
    return this.#waiting === 0 && this.#socket.writableLength === 0;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #readOn(): void {
    while (this.#hasRoom()) {
      const message = this.#frames.next();
      if (message === undefined) break;
      void this.#serve(Uint8Array.from(message));
    }
    if (this.#hasRoom()) this.#socket.resume();
    else this.#socket.pause();
  }

  #hasRoom(): boolean {
    return this.#waiting < this.#limits.mostWaiting && this.#socket.writableLength < mostUnsent;
  }

  async #serve(message: Uint8Array): Promise<void> {
    this.#waiting++;
    this.#restIdle();
    const answer = await this.#answer(message);
    this.#waiting--;
    if (this.#socket.destroyed) return;
    // What cannot be answered is no DNS: nothing behind it can be trusted to be.
    if (answer === undefined) return this.destroy();
    this.#socket.write(withLength(answer));
    this.#restIdle();
    this.#readOn();
    this.#endWhenDone();
  }

  #endWhenDone(): void {
    if (this.#hasEnded && this.#waiting === 0) this.#socket.end();
  }

  #restIdle(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#waiting > 0) this.#restIdle();
      else this.destroy();
    }, this.#limits.idleMs);
  }
}
