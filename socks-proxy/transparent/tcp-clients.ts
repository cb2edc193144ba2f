import type { Socket } from "node:net";

import type { Destination } from "../../client/answers/destination.ts";
import { parseAddress } from "../../shared/address.ts";
import { breakOff } from "../../shared/break-off.ts";
import { describeFault } from "../../shared/errors.ts";
import { displayName, type Name } from "../../shared/name.ts";
import { connectFor, relayFor } from "../connect-command.ts";
import { drain } from "../drain.ts";
import { destinationText } from "../log-line.ts";
import { logRefusal } from "../refusal.ts";
import { acceptChannel } from "../relay/channel.ts";
import { ServedConnection } from "../served-connection.ts";
import type { ConnectionContext } from "../server.ts";
import { keepEarlyBytes } from "../socks/early-bytes.ts";

/** What it shares with the SOCKS clients of the same proxy: the same limits and the same policy hold for both. */
export type TransparentContext = Pick<
  ConnectionContext,
  "connector" | "stub" | "policy" | "admission" | "times" | "counts" | "log" | "lineLimits"
> & { udp: Pick<ConnectionContext["udp"], "dead" | "random"> };

/** Who comes to an address of ours is a program of this machine, whichever address it comes from; so it cannot vanish either. */
const local = parseAddress("127.0.0.1");

/** The TCP connections to names' own addresses, from their acceptance to their end. */
export class TcpClients {
  readonly #context: TransparentContext;
  readonly #onFailure: (name: Name) => void;
  readonly #open = new Set<ServedConnection>();
  #allClosed: (() => void) | undefined;

  /** `onFailure` is told of a name that could not be connected to: its ports may have changed. */
  constructor(context: TransparentContext, onFailure: (name: Name) => void) {
    this.#context = context;
    this.#onFailure = onFailure;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Takes a connection that nothing was read from. What cannot be led anywhere is reset: an end would look like an empty answer. */
  accept(socket: Socket, name: Name, port: number): void {
    const { admission, counts, lineLimits, log } = this.#context;
    counts.accepted++;
    const excess = admission.admit(local);
    if (excess !== undefined) {
      counts.refuse("too-many");
      const line = lineLimits.turnedAway(
        `a client of ${displayName(name)} was turned away: too many ${excess}`,
      );
      if (line !== undefined) log.warn(line);
      return void breakOff(socket);
    }
    const connection = new ServedConnection(acceptChannel(socket), local);
    this.#open.add(connection);
    void this.#serve(connection, name, { kind: "name", name: displayName(name), port });
  }

  /** Ends all connections, giving busy ones `timeoutMs` milliseconds. */
  async close(timeoutMs: number): Promise<void> {
    const allClosed = new Promise<void>((resolve) => {
      this.#allClosed = resolve;
    });
    this.#tellIfEmpty();
    await drain(this.#open, timeoutMs);
    await allClosed;
  }

  async #serve(connection: ServedConnection, name: Name, destination: Destination): Promise<void> {
    const { admission, log } = this.#context;
    try {
      await this.#lead(connection, name, destination);
    } catch (fault) {
      log.error(`a connection ended by a fault of the proxy's own: ${describeFault(fault)}`);
      connection.destroy();
    }
    admission.release(local);
    this.#open.delete(connection);
    this.#tellIfEmpty();
  }

  async #lead(connection: ServedConnection, name: Name, destination: Destination): Promise<void> {
    const early = keepEarlyBytes(connection.channel, new Uint8Array(0));
    const upstream = await connectFor(connection, destination, this.#context);
    if (upstream.kind === "connected") {
      return relayFor(connection, destination, upstream, early.taken(), this.#context);
    }
    const { socket } = connection.channel;
    // Steps that the client's leaving cut short report a refusal as well.
    if (!socket.destroyed) logRefusal(destinationText(destination), upstream, this.#context);
    this.#onFailure(name);
    breakOff(socket);
  }

  #tellIfEmpty(): void {
    if (this.#open.size === 0) this.#allClosed?.();
  }
}
