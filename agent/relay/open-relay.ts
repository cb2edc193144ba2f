import type { Address } from "../../shared/address.ts";
import type { Log } from "../../shared/log.ts";
import type { Clock } from "../clock.ts";
import type { WantedRelay } from "../declare/input.ts";
import type { RelayBudget } from "./relay-budget.ts";
import type { AllottedPort } from "./relay-ports.ts";

export interface RelayOptions {
  /** One listener each, all at `port`. */
  listen: readonly Address[];
  port: number;
  target: WantedRelay["target"];
  /** Counted up as it happens. */
  counters: RelayCounters;
  /** What all relays share. */
  budget: RelayBudget;
  clock: Clock;
  log: Log;
}

/** A relay that listens. How one is opened is the same for TCP and UDP: rejects with Node's own fault (EADDRINUSE and the like). */
export interface OpenRelay {
  /** Clients that come from now on are led there. Connections to another target than that end with a reset; the listeners stay. */
  retarget(target: WantedRelay["target"]): void;
  /** Takes nobody new, and goes on with what has begun; resolves when the last of that has ended, or was ended by `close`. */
  finish(): Promise<void>;
  /** Ends the listeners and every connection; resolves when the port is free. */
  close(): Promise<void>;
}

/** `In` is towards the container, `Out` from it. All but `connectionsOpen` only grow. */
export interface RelayCounters {
  bytesIn: number;
  bytesOut: number;
  connectionsOpen: number;
  connectionsTotal: number;
  /** Their client was reset, because the container did not accept. */
  connectionsFailed: number;
  /** Their client was reset, because there were as many as the relay, the client, or all relays may have. */
  connectionsRefused: number;
  datagramsIn: number;
  datagramsOut: number;
  /** Of a client for whom there was no room, or faster than its socket could be made. */
  datagramsDropped: number;
}

export const noTraffic: RelayCounters = {
  bytesIn: 0,
  bytesOut: 0,
  connectionsOpen: 0,
  connectionsTotal: 0,
  connectionsFailed: 0,
  connectionsRefused: 0,
  datagramsIn: 0,
  datagramsOut: 0,
  datagramsDropped: 0,
};

/** Where the ports are kept between two runs of the agent. */
export interface RelayPortStore {
  /** Never rejects: what cannot be read is as good as nothing. */
  load(): Promise<readonly AllottedPort[]>;
  /** Replaces all that is stored. */
  save(ports: readonly AllottedPort[]): Promise<void>;
}

/** The relay once it listens at every address; rejects with what stood in the way at one, and then it is closed at all. */
export async function listening<R extends OpenRelay & { listen(address: Address): Promise<void> }>(
  relay: R,
  addresses: readonly Address[],
): Promise<R> {
  try {
    for (const address of addresses) await relay.listen(address);
  } catch (fault) {
    await relay.close();
    throw fault;
  }
  return relay;
}
