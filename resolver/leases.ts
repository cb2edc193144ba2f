import type { TokenScope } from "../shared/tokens.ts";

/** What a resolver's operator grants, in seconds. */
export interface LeaseLimits {
  lowest: number;
  highest: number;
}

export const standardLeaseLimits: LeaseLimits = { lowest: 5, highest: 3600 };

/** What the registry keeps of a host's lease; volatile on Node, where nothing is written for a renewal. */
export interface Lease {
  /** Milliseconds of the registry's clock. */
  expiresAt: number;
  /** Of the last request answered; sequence 0 when that is forgotten. */
  epoch: number;
  sequence: number;
}

/** Seconds: what was asked for, as far as the operator and the token allow it. */
export function grantLease(asked: number, limits: LeaseLimits, scope: TokenScope): number {
  const highest = Math.min(limits.highest, scope.maxLease ?? limits.highest);
  return Math.min(Math.max(asked, limits.lowest), highest);
}
