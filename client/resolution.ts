import type { Address } from "../shared/address.ts";
import type { Endpoint } from "../shared/dns/endpoints.ts";

/** What is known of a destination once its name is resolved. `reason` and `published` are for the log. */
export type Resolution =
  | { kind: "endpoints"; endpoints: Endpoint[] }
  | { kind: "not-allowed" }
  | { kind: "bad-name"; reason: string }
  | { kind: "not-found"; reason: string }
  | { kind: "port-not-published"; published: number[] }
  | { kind: "no-answer"; reason: string }
  /** The resolver answers nobody without a token, and this proxy has none that it takes. */
  | { kind: "no-token"; reason: string };

/** The port asked for, at addresses that are to be tried in their order. */
export function plainEndpoint(addresses: Address[], port: number): Resolution {
  return { kind: "endpoints", endpoints: [{ addresses, port, priority: 0, weight: 0 }] };
}
