import type { Address } from "../shared/address.ts";
import type { Endpoint } from "../shared/dns/endpoints.ts";

/** What is known of a destination once its name is resolved. `reason` and `published` are for the log. */
export type Resolution =
  | { kind: "endpoints"; endpoints: Endpoint[] }
  | { kind: "not-allowed" }
  | { kind: "bad-name"; reason: string }
  | { kind: "not-found"; reason: string }
  | { kind: "port-not-published"; published: number[] }
  | { kind: "no-answer"; reason: string };

/** The same port at each address, to be tried in this order: their priorities ascend. */
export function endpointsInOrder(addresses: Address[], port: number): Endpoint[] {
  return addresses.map((address, priority) => ({ address, port, priority, weight: 0 }));
}
