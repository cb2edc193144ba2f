import type { AddressInfo, Socket } from "node:net";
import { Duplex } from "node:stream";

import { breakOff } from "../../shared/break-off.ts";

/** Connects to a host and port. Rejects when that fails, and when `signal` aborts. */
export type OpenSocket = (
  target: { host: string; port: number },
  options: { allowHalfOpen: boolean; signal: AbortSignal },
) => Promise<Socket>;

export interface ServiceSocketOptions {
  /** Whether our direction stays open when the other side has ended its own; false, as for `net.Socket`. */
  allowHalfOpen?: boolean;
}

/**
 * A stream that can be written to before it is connected, with the members of `net.Socket` that programs use. It is one of Node's Duplex
 * streams, not a `net.Socket` itself: where the port is known only once the name is resolved, and several endpoints may have to be
 * tried, there is no socket yet to hand out. Emits `connect` and `ready` once it is connected, `timeout` as `setTimeout` has it.
 */
export class ServiceSocket extends Duplex {
  /** Whether a connection is being made. */
  connecting = false;
  /** Milliseconds without a byte after which `timeout` is emitted. */
  timeout: number | undefined;
  readonly #open: OpenSocket;
  readonly #calledOff = new AbortController();
  #upstream: Socket | undefined;
  /** What is to be done once there is a connection. */
  #waiting: ((upstream: Socket) => void)[] = [];
  #idle: NodeJS.Timeout | undefined;

  constructor(open: OpenSocket, options: ServiceSocketOptions = {}) {
    super({ allowHalfOpen: options.allowHalfOpen ?? false });
    this.#open = open;
  }

  /** Begins to connect; to be called once. `listener` is told when that is done. */
  connect(port: number, host: string, listener?: () => void): this;
  connect(target: { host: string; port: number }, listener?: () => void): this;
  connect(
    first: number | { host: string; port: number },
    second?: string | (() => void),
    third?: () => void,
  ): this {
    const target = typeof first === "object" ? first : { host: String(second), port: first };
    const listener = typeof second === "function" ? second : third;
    if (listener !== undefined) this.once("connect", listener);
    if (this.connecting || this.#upstream !== undefined) {
      throw new Error("the socket is connected, or about to be; make another one");
    }
    this.connecting = true;
    const options = { allowHalfOpen: true, signal: this.#calledOff.signal };
    this.#open(target, options).then(
      (upstream) => this.#adopt(upstream),
      (fault: Error) => this.destroy(fault),
    );
    return this;
  }

  #adopt(upstream: Socket): void {
    this.connecting = false;
    if (this.destroyed) {
      upstream.destroy();
      return;
    }
    this.#upstream = upstream;
    upstream.on("data", (chunk: Buffer) => {
      this.#idle?.refresh();
      if (!this.push(chunk)) upstream.pause();
    });
    let hasEnded = false;
    upstream.on("end", () => {
      hasEnded = true;
      this.push(null);
    });
    upstream.on("error", (fault) => this.destroy(fault));
    upstream.on("close", () => {
      // What came before the end may not have been read yet.
      if (!hasEnded) this.destroy();
    });
    this.emit("connect");
    this.emit("ready");
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run(upstream);
  }

  #whenConnected(run: (upstream: Socket) => void): void {
    if (this.#upstream === undefined) this.#waiting.push(run);
    else run(this.#upstream);
  }

  override _read(): void {
    this.#upstream?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (fault?: Error | null) => void): void {
    this.#idle?.refresh();
    this.#whenConnected((upstream) => void upstream.write(chunk, done));
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: BufferEncoding }[],
    done: (fault?: Error | null) => void,
  ): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), "utf8", done);
  }

  override _final(done: (fault?: Error | null) => void): void {
    this.#whenConnected((upstream) => void upstream.end(() => done()));
  }

  override _destroy(fault: Error | null, done: (fault?: Error | null) => void): void {
    clearTimeout(this.#idle);
    this.connecting = false;
    this.#waiting = [];
    this.#calledOff.abort();
    this.#upstream?.destroy();
    done(fault);
  }

  /** Ends our direction once all is written, then closes. */
  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }

  /** Closes with a reset where there is a connection; right after our own end, which has said all there was, without. */
  resetAndDestroy(): this {
    if (this.#upstream !== undefined) breakOff(this.#upstream);
    return this.destroy();
  }

  setNoDelay(noDelay = true): this {
    this.#whenConnected((upstream) => void upstream.setNoDelay(noDelay));
    return this;
  }

  setKeepAlive(enable = false, initialDelay = 0): this {
    this.#whenConnected((upstream) => void upstream.setKeepAlive(enable, initialDelay));
    return this;
  }

  /** Emits `timeout` after `ms` without a byte in either direction; 0 takes it back. The connection goes on. */
  setTimeout(ms: number, listener?: () => void): this {
    clearTimeout(this.#idle);
    this.timeout = ms;
    this.#idle = undefined;
    if (ms === 0) {
      if (listener !== undefined) this.off("timeout", listener);
      return this;
    }
    if (listener !== undefined) this.once("timeout", listener);
    this.#idle = setTimeout(() => this.emit("timeout"), ms);
    this.#idle.unref();
    return this;
  }

  /** Whether the connection keeps the process alive; while it is being made, it does. */
  ref(): this {
    this.#whenConnected((upstream) => void upstream.ref());
    return this;
  }

  unref(): this {
    this.#whenConnected((upstream) => void upstream.unref());
    return this;
  }

  /** Our end of the connection; `{}` while there is none. */
  address(): AddressInfo | Record<string, never> {
    return (this.#upstream?.address() as AddressInfo | undefined) ?? {};
  }

  get pending(): boolean {
    return this.#upstream === undefined;
  }

  get readyState(): "opening" | "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.connecting) return "opening";
    if (this.#upstream === undefined || this.destroyed) return "closed";
    if (this.readable && this.writable) return "open";
    if (this.readable) return "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  get bytesRead(): number {
    return this.#upstream?.bytesRead ?? 0;
  }

  get bytesWritten(): number {
    return this.#upstream?.bytesWritten ?? 0;
  }

  /** The endpoint the connection goes to, not the name it was asked for by. */
  get remoteAddress(): string | undefined {
    return this.#upstream?.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#upstream?.remotePort;
  }

  get remoteFamily(): string | undefined {
    return this.#upstream?.remoteFamily;
  }

  get localAddress(): string | undefined {
    return this.#upstream?.localAddress;
  }

  get localPort(): number | undefined {
    return this.#upstream?.localPort;
  }
}
