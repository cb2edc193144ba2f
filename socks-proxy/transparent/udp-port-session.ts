import type { RemoteInfo, Socket } from "node:dgram";

import type { Destination } from "../../client/answers/destination.ts";
import type { Drainable } from "../drain.ts";
import { isFull, UdpDestination } from "../udp/udp-destination.ts";
import type { UdpService } from "./udp-port.ts";

/** What one client of a UDP port says to the service, and what the service answers. */
export class UdpPortSession implements Drainable {
  readonly client: RemoteInfo;
  /** What is lost while the service is looked for is lost as on any network: nobody is kept waiting. */
  readonly isWaiting = false;
  readonly #listener: Socket;
  readonly #moved: UdpService["moved"];
  readonly #ended: () => void;
  readonly #destination: UdpDestination;
  #octets = 0;
  #isEnded = false;

  /** `ended` is called when it has been ended, or leads nowhere. */
  constructor(
    client: RemoteInfo,
    destination: Destination,
    { listener, service, ended }: { listener: Socket; service: UdpService; ended: () => void },
  ) {
    const { resolve, budget, dead, random, clock } = service;
    this.client = client;
    this.#listener = listener;
    this.#moved = service.moved;
    this.#ended = ended;
    this.#destination = new UdpDestination(destination, {
      resolve,
      reply: (payload) => this.#passOut(payload),
      sent: (octets) => this.#count("bytesUp", octets),
      dropped: (reason) => {
        if (reason === "not-resolved") this.end();
      },
      ...{ budget, dead, random, client: client.address, now: () => clock.now() },
    });
  }

  /** When a datagram last went either way, by the service's clock. */
  get activeAt(): number {
    return this.#destination.activeAt;
  }

  passIn(datagram: Uint8Array): void {
    this.#destination.send(datagram);
  }

  bytesMoved(): number {
    return this.#octets;
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#destination.close();
    this.#ended();
  }

  destroy(): void {
    this.end();
  }

  #passOut(payload: Uint8Array): void {
    const { port, address } = this.client;
    if (isFull(this.#listener)) return;
    this.#count("bytesDown", payload.length);
    this.#listener.send(payload, port, address, () => {
      // What cannot be sent is lost, as on any network; without a callback the fault would be an event of the socket.
    });
  }

  #count(direction: "bytesUp" | "bytesDown", octets: number): void {
    this.#octets += octets;
    this.#moved(direction, octets);
  }
}
