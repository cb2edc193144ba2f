import { noticeVanishing } from "../client/connect/keep-alive.ts";
import { type Address, parseAddress } from "../shared/address.ts";
import { describeFault } from "../shared/errors.ts";
import { drain } from "./drain.ts";
import type { Channel } from "./relay/channel.ts";
import { ServedConnection } from "./served-connection.ts";
import { type ConnectionContext, serveConnection } from "./server.ts";

/** All connections of a proxy, from their acceptance to their end. */
export class Acceptance {
  readonly #context: ConnectionContext;
  readonly #localAddress: Address | undefined;
  readonly #open = new Set<ServedConnection>();
  #allClosed: (() => void) | undefined;

  /** Given, every client is at `localAddress`: asking the system where each is would cost more than the rest of its admission. */
  constructor(context: ConnectionContext, localAddress: Address | undefined) {
    this.#context = context;
    this.#localAddress = localAddress;
  }

  accept(channel: Channel): void {
    const { admission, counts } = this.#context;
    const { socket } = channel;
    const client = this.#localAddress ?? parseAddress(socket.remoteAddress?.replace(/%.*$/, "") ?? "");
    counts.accepted++;
    const excess = admission.admit(client);
    if (excess !== undefined) {
      // A reply would have to know the protocol, and so would wait for the client.
      socket.destroy();
      this.#turnAway(excess);
      return;
    }
    if (client !== undefined) noticeVanishing(socket, client);
    const connection = new ServedConnection(channel, client);
    this.#open.add(connection);
    counts.connections = this.#open.size;
    void this.#serve(connection);
  }

  /** Ends all connections, giving busy ones `timeoutMs` milliseconds. */
  async close(timeoutMs: number): Promise<void> {
    const allClosed = new Promise<void>((resolve) => {
      this.#allClosed = resolve;
    });
    this.#toldIfEmpty();
    await drain(this.#open, timeoutMs);
    await allClosed;
  }

  async #serve(connection: ServedConnection): Promise<void> {
    const { admission, counts, log } = this.#context;
    try {
      await serveConnection(connection, this.#context);
    } catch (fault) {
      log.error(`a connection ended by a fault of the proxy's own: ${describeFault(fault)}`);
      connection.destroy();
    }
    admission.release(connection.client);
    this.#open.delete(connection);
    counts.connections = this.#open.size;
    this.#toldIfEmpty();
  }

  #toldIfEmpty(): void {
    if (this.#open.size === 0) this.#allClosed?.();
  }

  #turnAway(excess: string): void {
    const { counts, log, lineLimits } = this.#context;
    counts.refuse("too-many");
    const line = lineLimits.turnedAway(`a client was turned away: there are too many ${excess} already`);
    if (line !== undefined) log.warn(line);
  }
}
