import { connect, type Server, Socket, type SocketConstructorOpts } from "node:net";

import type { Candidate } from "../../client/connect/endpoint-order.ts";
import { noticeVanishing } from "../../client/connect/keep-alive.ts";

/**
 * One TCP connection whose bytes are read into a buffer of its own, without a stream in between. Nothing is read while nobody takes it.
 * The socket beside it is for writing, ending, destroying and its events; its `data` is never emitted, and nobody but the channel may
 * pause, resume or read it. Half-close is allowed, and a fault of the socket ends no process.
 */
export interface Channel {
  readonly socket: Socket;
  /** From now on `taker` is given what is read, the end of the other side's direction included; one that came before is told again. */
  take(taker: ChannelTaker): void;
  /** Reads nothing more until the next `take` or `resume`. */
  pause(): void;
  resume(): void;
  /** Gives memory back that a burst needed; to be called when no byte has moved for a while. */
  shrink(): void;
}

export interface ChannelTaker {
  /**
   * False stops the reading until `resume`. The bytes stay as they are until the channel reads again: to the end of the call after
   * true, until `resume` after false. Whoever keeps them longer has to copy them.
   */
  bytes(chunk: Uint8Array): boolean;
  /** The other side has ended its direction. */
  end(): void;
}

/** What a connection that says little needs; two of these are nearly all that an idle relay costs. */
const smallestBuffer = 4 * 1024;
/** A read of a mebibyte costs a third less of the processor for each byte than one of a quarter of it; beyond that little changes. */
const largestBuffer = 1024 * 1024;
/** A read that fills the buffer makes the next one this many times as large. */
const growth = 8;
/** All that grew, of all connections together: many that are held back by slow readers must not take the memory of the machine. */
const mostGrownBytes = 128 * 1024 * 1024;
let grownBytes = 0;

/** The parts of Node's TCP handles that are used here. They are not public: only this file may know of them. */
interface TcpHandle {
  useUserBuffer(buffer: Uint8Array): void;
  setNoDelay(on: boolean): void;
  writeQueueSize: number;
}
interface ListeningHandle {
  onconnection?: (errorNumber: number, accepted: TcpHandle) => void;
}
type WithHandle = { _handle: TcpHandle | null };
type WithListeningHandle = { _handle: ListeningHandle };

/** Where a socket keeps its channel; a WeakMap of all sockets would cost the garbage collector more than the rest of them. */
export const channelKey = Symbol("channel");
type WithChannel = { [channelKey]?: Channel };

/**
 * Gives each connection of a server that listens already, with `pauseOnConnect`, `allowHalfOpen` and `noDelay`, as a channel. A server
 * makes a socket for each of its own accord, which is of no use here and a fifth of what a connection costs; so where Node lets us, its
 * place is taken.
 */
export function acceptChannels(server: Server, accepted: (channel: Channel) => void): void {
  const { _handle: listening } = server as unknown as WithListeningHandle;
  const original = listening.onconnection;
  if (typeof original !== "function") {
    server.on("connection", (socket) => accepted(acceptChannel(socket)));
    return;
  }
  listening.onconnection = function onconnection(errorNumber, handle) {
    // A fault is the server's to emit.
    if (errorNumber !== 0) return original.call(this, errorNumber, handle);
    handle.setNoDelay(true);
    accepted(channelOfHandle(handle));
  };
}

/**
 * The channel of a connection that a server with `pauseOnConnect` has accepted. The socket it was accepted as is done with: only
 * sockets that are made with `onread` read into a buffer of their own, and a server makes none of these.
 */
export function acceptChannel(accepted: Socket): Channel {
  const inner = accepted as unknown as WithHandle;
  const channel = channelOfHandle(inner._handle);
  inner._handle = null;
  // Takes it off the server's count; there is no handle left that it could close.
  accepted.destroy();
  return channel;
}

/** A channel that connects to `candidate` at once; its socket emits `connect` or `error`. An endpoint that vanishes is noticed. */
export function dialChannel({ address, port }: Candidate): Channel {
  const channel = new TcpChannel();
  const options = {
    host: address,
    port,
    allowHalfOpen: true,
    noDelay: true,
    autoSelectFamily: false,
    writableHighWaterMark: 1,
    onread: channel.onread(),
  };
  const socket = connect(options);
  // Else it would read as soon as it is connected.
  socket.pause();
  noticeVanishing(socket, address);
  channel.adopt(socket);
  return channel;
}

/** The channel whose socket this is, when it was made by `acceptChannel` or `dialChannel`. */
export function channelOf(socket: Socket): Channel | undefined {
  return (socket as WithChannel)[channelKey];
}

/** Bytes that the other side has not taken yet, as far as the system knows: it falls while a slow reader reads. */
export function unsentBytes(socket: Socket): number {
  return (socket as unknown as WithHandle)._handle?.writeQueueSize ?? 0;
}

/** Resolves when the connection is closed, at once when it is already. */
export function whenClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}

function channelOfHandle(handle: TcpHandle | null): Channel {
  const channel = new TcpChannel();
  const options = { handle, allowHalfOpen: true, writableHighWaterMark: 1, onread: channel.onread() };
  channel.adopt(new Socket(options as unknown as SocketConstructorOpts));
  return channel;
}

/** Buffers of closed connections, for those to come: making them anew keeps the garbage collector busy. */
const spareBuffers: Uint8Array[] = [];
const mostSpareBuffers = 512;

class TcpChannel implements Channel {
  socket!: Socket;
  #buffer: Uint8Array = newBuffer();
  #next: Uint8Array | undefined = this.#buffer;
  #taker: ChannelTaker | undefined;
  #hasEnded = false;
  /** A taker still uses what is in the buffer. */
  #lent = false;
  #isReading = false;

  onread() {
    return {
      // Asked before the first read and after every one: undefined keeps the buffer.
      buffer: (): Uint8Array => this.#takeNext() as Uint8Array,
      callback: (count: number): boolean => this.#read(count),
    };
  }

  adopt(socket: Socket): void {
    this.socket = socket;
    (socket as WithChannel)[channelKey] = this;
    socket.on("error", ignoreFault);
    socket.once("end", () => this.#end());
    socket.once("close", () => this.#giveBufferBack());
  }

  take(taker: ChannelTaker): void {
    this.#taker = taker;
    this.resume();
    // Not within the call: a taker need not expect its own end before it is in use.
    if (this.#hasEnded) queueMicrotask(() => this.#end());
  }

  pause(): void {
    this.#isReading = false;
    this.#taker = undefined;
    this.socket.pause();
  }

  resume(): void {
    this.#lent = false;
    if (this.#isReading) return;
    this.#isReading = true;
    this.socket.resume();
  }

  shrink(): void {
    const { _handle: handle } = this.socket as unknown as WithHandle;
    if (handle === null || this.#lent || this.#buffer.length === smallestBuffer) return;
    const large = this.#buffer;
    grownBytes -= large.length;
    this.#buffer = newBuffer();
    handle.useUserBuffer(this.#buffer);
    // The socket holds on to the array until its next read; the memory behind it is free from now on.
    (large.buffer as ArrayBuffer).transfer(0);
  }

  #read(count: number): boolean {
    const buffer = this.#buffer;
    if (count === buffer.length && count < largestBuffer) this.#next = largerThan(buffer);
    const chunk = count === buffer.length ? buffer : buffer.subarray(0, count);
    const goesOn = this.#taker?.bytes(chunk) === true;
    if (!goesOn) {
      this.#lent = true;
      this.#isReading = false;
    }
    return goesOn;
  }

  #giveBufferBack(): void {
    const { length } = this.#buffer;
    if (length > smallestBuffer) grownBytes -= length;
    // Not while a taker still has what is in it.
    else if (!this.#lent && spareBuffers.length < mostSpareBuffers) spareBuffers.push(this.#buffer);
  }

  #takeNext(): Uint8Array | undefined {
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) this.#buffer = next;
    return next;
  }

  #end(): void {
    this.#hasEnded = true;
    this.#taker?.end();
  }
}

function newBuffer(): Uint8Array {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(smallestBuffer);
}

/** Undefined when connections have grown enough. */
function largerThan({ length }: Uint8Array): Uint8Array | undefined {
  const size = Math.min(length * growth, largestBuffer);
  const more = length === smallestBuffer ? size : size - length;
  if (grownBytes + more > mostGrownBytes) return undefined;
  grownBytes += more;
  return Buffer.allocUnsafeSlow(size);
}

/** The close event follows every fault and says what there is to say; a fault without a listener would end the process. */
function ignoreFault(): void {}
