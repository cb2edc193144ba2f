import { createSocket, type RemoteInfo, type Socket } from "node:dgram";

import { type Address, familyOf, noPort } from "../../shared/address.ts";
import { ClientLimit } from "./client-limit.ts";
import { listening, type OpenRelay, type RelayOptions } from "./open-relay.ts";

/** Of one relay: each client has a socket of its own, by which the answers find back to it. */
const mostClients = 512;
/** Without a datagram either way. */
const idleMs = 60_000;
/** When all places are taken, a client that was quiet for this long makes room for a new one. */
const quietMs = 5_000;
/** The socket towards the container. */
const descriptorsEach = 1;
/** While the socket towards the container is being made ready. */
const mostWaiting = 64;

/** Listens, and relays each client's datagrams to the target, and the target's answers back, from the address they were sent to. */
export async function openUdpRelay(options: RelayOptions): Promise<OpenRelay> {
  return listening(new UdpRelay(options), options.listen);
}

interface UdpClient {
  key: string;
  upstream: Socket;
  /** Undefined once the upstream socket is connected. */
  waiting: Buffer[] | undefined;
  activeAt: number;
  /** What it took of the budget. */
  giveBack: () => void;
}

class UdpRelay implements OpenRelay {
  readonly #options: RelayOptions;
  readonly #listeners: Socket[] = [];
  /** The one that was quiet for longest comes first. */
  readonly #clients = new Map<string, UdpClient>();
  readonly #clientLimit: ClientLimit;
  readonly #finished = Promise.withResolvers<void>();
  #target: RelayOptions["target"];
  #isFinishing = false;
  #cancelSweep: (() => void) | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clientLimit = new ClientLimit(mostClients, options);
    this.#target = options.target;
  }

  async listen(address: Address): Promise<void> {
    const listener = socketFor(address);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    listener.on("error", reject);
    listener.bind({ address, port: this.#options.port }, resolve);
    this.#listeners.push(listener);
    await promise;
    listener.on("error", (fault) => this.#options.log.debug(`relay at ${address}: ${fault.message}`));
    listener.on("message", (datagram, client) => this.#passIn(listener, client, datagram));
  }

  retarget(target: RelayOptions["target"]): void {
    if (target.address === this.#target.address && target.port === this.#target.port) return;
    this.#target = target;
    this.#endAll();
  }

  /** The listeners stay as long as they have clients: an answer comes from where the question went. */
  finish(): Promise<void> {
    this.#isFinishing = true;
    this.#finishIfEmpty();
    return this.#finished.promise;
  }

  async close(): Promise<void> {
    this.#isFinishing = true;
    const listeners = this.#listeners.splice(0);
    const closed = listeners.map((listener) => new Promise<void>((resolve) => listener.close(resolve)));
    this.#endAll();
    this.#finishIfEmpty();
    await Promise.all(closed);
  }

  #passIn(listener: Socket, from: RemoteInfo, datagram: Buffer): void {
    const { counters } = this.#options;
    const client = from.port === noPort ? undefined : this.#clientFor(listener, from);
    if (client === undefined || (client.waiting?.length ?? 0) >= mostWaiting) {
      counters.datagramsDropped += 1;
      return;
    }
    counters.datagramsIn += 1;
    counters.bytesIn += datagram.length;
    if (client.waiting === undefined) client.upstream.send(datagram, noteNothing);
    else client.waiting.push(datagram);
  }

  #clientFor(listener: Socket, from: RemoteInfo): UdpClient | undefined {
    const key = `${from.port} ${from.address} ${this.#listeners.indexOf(listener)}`;
    const known = this.#clients.get(key);
    if (known !== undefined) {
      this.#touch(known);
      return known;
    }
    if (this.#isFinishing) return undefined;
    if (
      this.#clients.size >= mostClients &&
      !this.#makeRoom() &&
      this.#clientLimit.isFull(this.#clients.size)
    )
      return undefined;
    return this.#begin(key, listener, from);
  }

  #begin(key: string, listener: Socket, from: RemoteInfo): UdpClient | undefined {
    const giveBack = this.#options.budget.take(from.address, descriptorsEach);
    if (giveBack === undefined) return undefined;
    const upstream = socketFor(this.#target.address);
    const client: UdpClient = { key, upstream, waiting: [], activeAt: 0, giveBack };
    // The container refused one datagram (ICMP): the next may be welcome. What cannot even be connected is made anew.
    upstream.on("error", () => client.waiting !== undefined && this.#end(client));
    upstream.on("message", (datagram) => this.#passOut(listener, from, client, datagram));
    // A connected socket takes no datagrams from anybody but the container.
    upstream.once("connect", () => {
      const { waiting = [] } = client;
      client.waiting = undefined;
      for (const datagram of waiting) upstream.send(datagram, noteNothing);
    });
    // Without a callback, which would be given the fault in the place of "error".
    upstream.connect(this.#target.port, this.#target.address);
    this.#touch(client);
    this.#cancelSweep ??= this.#sweepAfter(idleMs);
    return client;
  }

  #passOut(listener: Socket, to: RemoteInfo, client: UdpClient, datagram: Buffer): void {
    const { counters } = this.#options;
    this.#touch(client);
    counters.datagramsOut += 1;
    counters.bytesOut += datagram.length;
    listener.send(datagram, to.port, to.address, noteNothing);
  }

  #touch(client: UdpClient): void {
    client.activeAt = this.#options.clock.now();
    this.#clients.delete(client.key);
    this.#clients.set(client.key, client);
  }

  /** Those who are being served keep their places: a flood of made-up senders must not push them out. */
  #makeRoom(): boolean {
    const [quietest] = this.#clients.values();
    if (quietest === undefined || this.#options.clock.now() - quietest.activeAt < quietMs) return false;
    this.#end(quietest);
    return true;
  }

  #sweepAfter(ms: number): () => void {
    const { clock } = this.#options;
    return clock.after(ms, () => {
      this.#cancelSweep = undefined;
      for (const client of this.#clients.values()) {
        const left = client.activeAt + idleMs - clock.now();
        if (left > 0) {
          this.#cancelSweep = this.#sweepAfter(left);
          return;
        }
        this.#end(client);
      }
    });
  }

  #end(client: UdpClient): void {
    if (this.#clients.get(client.key) === client) this.#clients.delete(client.key);
    else return;
    client.giveBack();
    client.upstream.close();
    this.#clientLimit.left(this.#clients.size);
    this.#finishIfEmpty();
  }

  #finishIfEmpty(): void {
    if (this.#isFinishing && this.#clients.size === 0) this.#finished.resolve();
  }

  #endAll(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    for (const client of this.#clients.values()) this.#end(client);
  }
}

function socketFor(address: Address): Socket {
  return familyOf(address) === 4 ? createSocket("udp4") : createSocket({ type: "udp6", ipv6Only: true });
}

/** A datagram that cannot be sent is lost, as on any network; without a callback the fault would be an event of the socket. */
function noteNothing(): void {}
