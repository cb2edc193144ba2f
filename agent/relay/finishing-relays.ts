import type { WantedRelay } from "../declare/input.ts";
import type { OpenRelay, RelayCounters } from "./open-relay.ts";

export interface FinishingRelay {
  wanted: WantedRelay;
  /** Where it listened. */
  port: number;
  relay: OpenRelay;
  /** The relay goes on to count. */
  counters: RelayCounters;
}

/**
 * Relays nobody is led to any more. What they have begun goes on as long as the run of their container, as it does at a published port: one
 * that was told to stop, or is paused, or whose engine is silent, still has its connections.
 */
export class FinishingRelays {
  readonly #all = new Set<FinishingRelay>();

  /** The relay takes nobody new from now on. */
  add(finishing: FinishingRelay): void {
    this.#all.add(finishing);
    void finishing.relay.finish().then(() => this.#end(finishing));
  }

  /** Those that have not ended. */
  get all(): FinishingRelay[] {
    return [...this.#all];
  }

  /** Ends those whose container's run is over. */
  keepOnly(runs: ReadonlySet<string>): void {
    for (const finishing of this.#all) if (!runs.has(finishing.wanted.run)) void this.#end(finishing);
  }

  /** Ends what would keep a relay from listening where it did before: a UDP client has its socket, and port, in common with the others. */
  async makeWayFor({ key, protocol }: Pick<WantedRelay, "key" | "protocol">): Promise<void> {
    if (protocol !== "udp") return;
    const inTheWay = [...this.#all].filter(({ wanted }) => wanted.key === key);
    await Promise.all(inTheWay.map((finishing) => this.#end(finishing)));
  }

  /** Ends all; resolves when every port is free. */
  async close(): Promise<void> {
    await Promise.all([...this.#all].map((finishing) => this.#end(finishing)));
  }

  #end(finishing: FinishingRelay): Promise<void> {
    this.#all.delete(finishing);
    return finishing.relay.close();
  }
}
