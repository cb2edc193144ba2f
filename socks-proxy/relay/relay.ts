import type { Socket } from "node:net";

import { breakOff } from "../../shared/break-off.ts";
import { type Channel, type ChannelTaker, unsentBytes } from "./channel.ts";

/** `cut`: one side broke off, and the other was told so by a reset. `drained`: ended by us while it was quiet. */
export type RelayEnd = "ended" | "idle" | "cut" | "drained";

export interface RelayOptions {
  /** Without a byte in either direction for so many milliseconds, to within a fifth of it, both connections are reset; Infinity for never. */
  idleMs: number;
  /** What the client has sent already; it goes first. */
  early?: Uint8Array;
}

export interface RunningRelay {
  /** Resolves when both connections are closed. */
  ended: Promise<RelayEnd>;
  /**
   * Ends both connections as if both sides had. To be called when they are quiet; while a slow reader is still owed bytes it does nothing, and has
   * to be called again.
   */
  drain(): void;
}

/**
 * Copies bytes both ways until both directions have ended. The end of one direction ends only that one (half-close, RFC 9293 §3.6).
 */
export function relay(client: Channel, upstream: Channel, options: RelayOptions): RunningRelay {
  const relay = new Relay(client, upstream, options);
  relay.start();
  return relay;
}

/** Timers set anew with every byte would cost more than the bytes: one timer looks at all relays of one idle limit. */
const wheels = new Map<number, Wheel>();

/** How often a wheel looks at a relay within its idle limit, and how often at least, for the memory an idle one gives back. */
const looksPerLimit = 5;
const longestLookMs = 5_000;

class Relay implements RunningRelay {
  readonly ended: Promise<RelayEnd>;
  readonly #client: Channel;
  readonly #upstream: Channel;
  readonly #early: Uint8Array | undefined;
  #resolve: (end: RelayEnd) => void = () => {};
  readonly #wheel: Wheel;
  #end: RelayEnd = "ended";
  /** Closed when everything had gone both ways. */
  #closedWhole: Socket | undefined;
  #open = 2;
  /** Looks of the wheel since the last byte. */
  #stillFor = 0;
  #hasMoved = true;
  #unsent = 0;

  constructor(client: Channel, upstream: Channel, { idleMs, early }: RelayOptions) {
    this.#client = client;
    this.#upstream = upstream;
    this.#early = early;
    this.#wheel = wheelFor(idleMs);
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  start(): void {
    const [client, upstream] = [this.#client, this.#upstream];
    this.#wheel.add(this);
    this.#watch(client, upstream);
    this.#watch(upstream, client);
    if (this.#early !== undefined && this.#early.length > 0) upstream.socket.write(this.#early);
    this.#copy(client, upstream);
    this.#copy(upstream, client);
  }

  /** One look of the wheel; `limit` looks in a row without a byte are the idle limit. */
  look(limit: number): void {
    const unsent = unsentBytes(this.#client.socket) + unsentBytes(this.#upstream.socket);
    // What a slow reader takes of bytes that were read before has moved as well.
    const isStill = !this.#hasMoved && unsent === this.#unsent;
    this.#hasMoved = false;
    this.#unsent = unsent;
    this.#stillFor = isStill ? this.#stillFor + 1 : 0;
    if (this.#stillFor >= limit) this.#endIdle();
    else if (this.#stillFor === 1) for (const channel of [this.#client, this.#upstream]) channel.shrink();
  }

  #copy(from: Channel, to: Channel): void {
    const { socket } = to;
    const taker: ChannelTaker = {
      bytes: (chunk) => {
        this.#hasMoved = true;
        socket.write(chunk);
        // Mostly the system takes all of it at once. What it did not take lies in the buffer, which must not be read into until then.
        return socket.writableLength === 0;
      },
      end: () => this.#endWriting(socket),
    };
    // Its write mark is 1, so that every write that had to wait is followed by this event.
    socket.on("drain", () => from.resume());
    // At once, even if the first bytes still wait: whoever took it before would get what comes now.
    from.take(taker);
  }

  #endWriting(socket: Socket): void {
    const isLast = socket.readableEnded && socket.writableLength === 0;
    if (!isLast) return void socket.end();
    // Its close says the same to the other side as its end would, and it is to be closed anyway.
    this.#closedWhole = socket;
    socket.destroy();
  }

  #watch(channel: Channel, other: Channel): void {
    const { socket } = channel;
    if (socket.closed) this.#closed(channel, other);
    else socket.once("close", () => this.#closed(channel, other));
  }

  /** A connection that broke off must not look like one that ended: the other side would take a part for the whole. */
  #closed({ socket }: Channel, other: Channel): void {
    const isWhole = socket.readableEnded && (socket.writableFinished || socket === this.#closedWhole);
    if (this.#end === "ended" && !isWhole) {
      this.#end = "cut";
      breakOff(other.socket);
    }
    if (--this.#open > 0) return;
    this.#wheel.remove(this);
    this.#resolve(this.#end);
  }

  drain(): void {
    if (this.#end === "drained") return;
    // Its sender is held back, and may have more to say: an end would let the reader take a part for the whole.
    if (unsentBytes(this.#client.socket) + unsentBytes(this.#upstream.socket) > 0) return;
    this.#end = "drained";
    this.#client.socket.destroySoon();
    this.#upstream.socket.destroySoon();
  }

  #endIdle(): void {
    this.#end = "idle";
    // Whoever still waits for something must not take what there was for all of it.
    breakOff(this.#client.socket);
    breakOff(this.#upstream.socket);
  }
}

class Wheel {
  readonly #idleMs: number;
  readonly #relays = new Set<Relay>();
  #timer: NodeJS.Timeout | undefined;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  add(relay: Relay): void {
    this.#relays.add(relay);
    this.#timer ??= this.#turn();
  }

  remove(relay: Relay): void {
    this.#relays.delete(relay);
    if (this.#relays.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    wheels.delete(this.#idleMs);
  }

  #turn(): NodeJS.Timeout {
    const lookMs = Math.min(this.#idleMs / looksPerLimit, longestLookMs);
    // Without a limit it looks all the same, for the memory.
    const limit = Math.ceil(this.#idleMs / lookMs);
    return setInterval(() => {
      for (const relay of this.#relays) relay.look(limit);
    }, lookMs).unref();
  }
}

function wheelFor(idleMs: number): Wheel {
  const wheel = wheels.get(idleMs) ?? new Wheel(idleMs);
  wheels.set(idleMs, wheel);
  return wheel;
}
