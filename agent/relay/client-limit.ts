import { formatEndpoint } from "../../shared/address.ts";
import { Outage } from "../outage.ts";
import type { RelayOptions } from "./open-relay.ts";
import { eased } from "./relay-budget.ts";

/** How many clients one relay has at once: says once that it takes no more, and once that it has room again. */
export class ClientLimit {
  readonly #most: number;
  readonly #outage: Outage;
  readonly #refusal: string;

  constructor(most: number, { listen: [address], port, log }: Pick<RelayOptions, "listen" | "port" | "log">) {
    const place = address === undefined ? `port ${port}` : formatEndpoint({ address, port });
    this.#most = most;
    this.#refusal = `the relay at ${place} has the ${most} clients that one may have; further ones are refused until some end`;
    this.#outage = new Outage(log, () => `the relay at ${place} has room for clients again`);
  }

  /** Whether a relay with `count` clients takes no other one. */
  isFull(count: number): boolean {
    if (count < this.#most) return false;
    this.#outage.begin("full", this.#refusal);
    return true;
  }

  /** One client has left, and `count` are there still. */
  left(count: number): void {
    if (count <= this.#most * eased) this.#outage.end();
  }
}
