import type { Socket } from "node:net";

/**
 * One TCP connection whose bytes are read into a buffer of its own, without a stream in between. Nothing is read while nobody takes it.
 * The socket beside it is for writing, ending, destroying and its events; its `data` and `end` are never emitted.
 */
export interface Channel {
  readonly socket: Socket;
  /**
   * From now on `taker` is given what is read. The bytes are valid during the call only. False stops the reading until `resume`.
   */
  take(taker: ChannelTaker): void;
  /** Reads nothing more until the next `take` or `resume`. */
  pause(): void;
  resume(): void;
}

export interface ChannelTaker {
  bytes(chunk: Uint8Array): boolean;
  /** The other side has ended its direction. */
  end(): void;
}
