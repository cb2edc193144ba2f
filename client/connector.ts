import type { Socket } from "node:net";

import type { ConnectFailure } from "./connect.ts";
import type { Destination } from "./destination.ts";
import type { Candidate } from "./endpoint-order.ts";
import type { Resolution } from "./resolution.ts";

/** Connects to destinations as decisions 19 and 20 of the design have it: every endpoint, one fresh resolution, then patience. */
export interface Connector {
  connect(destination: Destination, options: ConnectOptions): Promise<ConnectOutcome>;
}

export interface ConnectOptions {
  /** Ends every attempt, such as when the client has gone. */
  signal: AbortSignal;
  /** May take endpoints away, or turn the resolution into a refusal; asked after each resolution, fresh ones as well. */
  judge?: (resolution: Resolution, destination: Destination) => Resolution;
  /** Makes the connection to one candidate; half-close allowed, no delay, unless said otherwise. It must connect at once and emit `connect` or `error`. */
  dial?: (candidate: Candidate) => Socket;
}

export type ConnectOutcome =
  | { kind: "connected"; upstream: Socket; candidate: Candidate }
  | { kind: "connect-failed"; failures: ConnectFailure[] }
  | Exclude<Resolution, { kind: "endpoints" }>;
