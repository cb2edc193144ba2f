import type { Address } from "../shared/address.ts";
import { breakOff } from "../shared/break-off.ts";
import type { Drainable } from "./drain.ts";
import type { Channel } from "./relay/channel.ts";

/** A client's connection while it is served. */
export class ServedConnection implements Drainable {
  readonly channel: Channel;
  /** Where the client is; undefined when it had left before anybody asked. */
  readonly client: Address | undefined;
  isWaiting = false;
  /** Octets that its client moved beside it: the datagrams of its UDP association. */
  octetsBeside = 0;
  /** What ends it so that nobody takes a part for the whole; its socket's own end unless said otherwise. */
  endInOrder: (() => void) | undefined;

  constructor(channel: Channel, client: Address | undefined) {
    this.channel = channel;
    this.client = client;
  }

  bytesMoved(): number {
    const { bytesRead, bytesWritten } = this.channel.socket;
    return bytesRead + bytesWritten + this.octetsBeside;
  }

  end(): void {
    if (this.endInOrder !== undefined) this.endInOrder();
    else if (!this.channel.socket.writableEnded) this.channel.socket.destroySoon();
  }

  destroy(): void {
    breakOff(this.channel.socket);
  }
}
