import type { Address } from "../../shared/address.ts";
import { BerthError } from "../../shared/errors.ts";
import { type LookupLimits, LookupQueue } from "./lookup-queue.ts";
import { SingleFlight } from "./single-flight.ts";

export interface OutsideNamesPorts {
  /** The system's addresses of a name, best first. Rejects as node:dns does: ENOTFOUND when there is none. */
  lookup: (name: string) => Promise<readonly Address[]>;
  /** Milliseconds of any clock that only goes up. */
  now: () => number;
  limits: LookupLimits;
}

type Found = { addresses: readonly Address[] } | { fault: unknown };

/** getaddrinfo(3) tells no TTL, so an answer is kept only for as long as one page takes to load. */
const goodMs = 5_000;
/** RFC 9520 §3.2: a failure is remembered for a second at least. No longer, since a network comes back, and a name too. */
const badMs = 1_000;
const mostNames = 1_000;
/** A stranger's name may have thousands; so long an answer is given, and not kept. */
const mostAddresses = 100;

/** What the system says of names outside the zones: asked once for all who want to know, and remembered for a moment. */
export class OutsideNames {
  readonly #ports: OutsideNamesPorts;
  readonly #queue: LookupQueue;
  readonly #flights = new SingleFlight<Found>();
  /** In the order in which they were kept. */
  readonly #kept = new Map<string, { found: Found; until: number }>();

  constructor(ports: OutsideNamesPorts) {
    this.#ports = ports;
    this.#queue = new LookupQueue(ports.limits, ports.now);
  }

  /** Rejects as `lookup` does, and with a BerthError `lookups-busy` when too many names are being looked up. */
  async addressesOf(name: string, isFresh: boolean): Promise<readonly Address[]> {
    // A dot at the end stays: the system tries a name without one in its search domains.
    const key = name.toLowerCase();
    const known = isFresh ? undefined : this.#recall(key);
    const found = known ?? (await this.#flights.join(key, isFresh, () => this.#find(key)));
    if ("fault" in found) throw found.fault;
    return found.addresses;
  }

  #recall(key: string): Found | undefined {
    const kept = this.#kept.get(key);
    return kept !== undefined && this.#ports.now() < kept.until ? kept.found : undefined;
  }

  async #find(key: string): Promise<Found> {
    try {
      const addresses = await this.#queue.run(() => this.#ports.lookup(key));
      return this.#keep(key, { addresses }, addresses.length > 0 ? goodMs : badMs);
    } catch (fault) {
      // That there is no room says nothing of the name.
      if (fault instanceof BerthError) return { fault };
      return this.#keep(key, { fault }, badMs);
    }
  }

  #keep(key: string, found: Found, ms: number): Found {
    this.#kept.delete(key);
    if ("addresses" in found && found.addresses.length > mostAddresses) return found;
    this.#kept.set(key, { found, until: this.#ports.now() + ms });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > mostNames && oldest !== undefined) this.#kept.delete(oldest);
    return found;
  }
}
