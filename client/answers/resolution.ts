import type { Address } from "../../shared/address.ts";
import type { Endpoint } from "../../shared/dns/endpoints.ts";

/** What is known of a destination once its name is resolved. `reason` and `published` are for the log. */
export type Resolution =
  | EndpointsFound
  /** The reason is the policy's, where it has one. */
  | { kind: "not-allowed"; reason?: string }
  | { kind: "bad-name"; reason: string }
  | { kind: "not-found"; reason: string }
  | { kind: "port-not-published"; published: number[] }
  | { kind: "no-answer"; reason: string }
  /** The resolver answers nobody without a token, and this program has none that it takes. */
  | { kind: "no-token"; reason: string };

export interface EndpointsFound {
  kind: "endpoints";
  endpoints: readonly Endpoint[];
  /** Whether berth's resolver said so, and not the system or the destination itself. */
  inZone: boolean;
  /**
   * Of an answer past its TTL, given because no resolver answers (RFC 8767): when it is too old for that as well, in milliseconds of the
   * stub resolver's clock.
   */
  staleUntil?: number;
}

/** The port asked for, at addresses that are to be tried in their order. */
export function plainEndpoint(addresses: readonly Address[], port: number, inZone: boolean): EndpointsFound {
  return { kind: "endpoints", endpoints: [{ addresses, port, priority: 0, weight: 0 }], inZone };
}
