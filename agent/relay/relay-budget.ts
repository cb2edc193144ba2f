import type { Log } from "../../shared/log.ts";
import { Outage } from "../outage.ts";

/** Below this part of what may be had there is room again: at the very edge a trouble would begin and end with every client. */
export const eased = 3 / 4;
/** Stands for all clients among those that were refused. */
const everybody = "";

/**
 * The descriptors that all relays of an agent may take together, so that engine, resolver and DNS always find some left. One client
 * address may have half of them: whoever takes all he can leaves the other half. A refusal is logged once until there is room again.
 */
export class RelayBudget {
  readonly #most: number;
  readonly #share: number;
  readonly #outage: Outage;
  readonly #byClient = new Map<string, number>();
  readonly #refused = new Set<string>();
  #taken = 0;

  constructor(most: number, log: Log) {
    this.#most = most;
    this.#share = Math.floor(most / 2);
    this.#outage = new Outage(log, () => "relays have room for clients again");
  }

  /** Counts `descriptors` for a client, until the returned function is called; undefined when there are none left for it. */
  take(client: string, descriptors: number): (() => void) | undefined {
    const own = (this.#byClient.get(client) ?? 0) + descriptors;
    if (this.#taken + descriptors > this.#most) return this.#refuse(everybody);
    if (own > this.#share) return this.#refuse(client);
    this.#taken += descriptors;
    this.#byClient.set(client, own);
    let isHeld = true;
    return () => {
      if (isHeld) this.#release(client, descriptors);
      isHeld = false;
    };
  }

  #refuse(client: string): undefined {
    this.#refused.add(client);
    const of = `of the ${this.#most} descriptors that relays may take together; further connections are refused until some end`;
    if (client === everybody) this.#outage.begin("all", `relays have taken all ${of}`);
    else this.#outage.begin("one", `${client} has taken half ${of}`);
    return undefined;
  }

  #release(client: string, descriptors: number): void {
    this.#taken -= descriptors;
    const own = (this.#byClient.get(client) ?? 0) - descriptors;
    if (own > 0) this.#byClient.set(client, own);
    else this.#byClient.delete(client);
    if (own <= this.#share * eased) this.#refused.delete(client);
    if (this.#taken <= this.#most * eased) this.#refused.delete(everybody);
    if (this.#refused.size === 0) this.#outage.end();
  }
}
