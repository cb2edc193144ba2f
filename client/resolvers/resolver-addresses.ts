import type { Address } from "../../shared/address.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";

export interface ResolverAddressPorts {
  /** As the user gave them: nobody is asked then. */
  fixed: readonly Address[] | undefined;
  /** Asks outside berth. Rejects when there is none. */
  find: (hostname: string) => Promise<readonly Address[]>;
  /** What was good in an earlier life, or a moment ago. */
  recall: (hostname: string) => readonly Address[];
  keep: (hostname: string, addresses: readonly Address[]) => void;
  /** Runs `run` once after `ms`; the function returned calls it off. */
  after: (ms: number, run: () => void) => () => void;
}

/** So long the name service may take when there is an address that was good before. */
const patienceMs = 1_000;

/**
 * Where a resolver named by a hostname is. It is the one name that berth cannot be asked for: the answer would have to come from there.
 */
export class ResolverAddresses {
  readonly #ports: ResolverAddressPorts;
  readonly #found = new Map<string, readonly Address[]>();

  constructor(ports: ResolverAddressPorts) {
    this.#ports = ports;
  }

  /** Best first, and never none. Throws a BerthError `no-resolver-address` when nothing is known of it. */
  async of(hostname: string): Promise<readonly Address[]> {
    const { fixed, recall } = this.#ports;
    if (fixed !== undefined && fixed.length > 0) return fixed;
    const before = recall(hostname);
    try {
      const found = await (before.length > 0 ? this.#soon(hostname) : this.#ports.find(hostname));
      if (found.length === 0) throw new BerthError("no-resolver-address", "it has no address");
      this.#found.set(hostname, found);
      return found;
    } catch (cause) {
      if (before.length > 0) return before;
      const message = `the address of the resolver ${hostname} cannot be found; give it as BERTH_RESOLVER_ADDRESS, as --resolver-address, or in a program as resolverAddress: ${describeFault(cause)}`;
      throw new BerthError("no-resolver-address", message, { who: hostname, retryable: true, cause });
    }
  }

  /** A connection came about, so the addresses found last are worth keeping. */
  reached(hostname: string): void {
    const found = this.#found.get(hostname);
    if (found === undefined || found.join() === this.#ports.recall(hostname).join()) return;
    this.#ports.keep(hostname, found);
  }

  #soon(hostname: string): Promise<readonly Address[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly Address[]>();
    const late = new BerthError("no-resolver-address", "the name service does not answer");
    const stop = this.#ports.after(patienceMs, () => reject(late));
    this.#ports.find(hostname).then(resolve, reject);
    return promise.finally(stop);
  }
}
