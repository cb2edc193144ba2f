import type { Access } from "./access.ts";

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
  /** When the token of that request expires; kept where leases are in memory, for pings, which bring no token. */
  goodUntil?: number | undefined;
}

/**
 * Seconds: what was asked for, as far as the operator and the token allow it, and no longer than the token is good from `now` on. Never less
 * than the operator's lowest, which is what the registry can keep up with.
 */
export function grantLease(
  asked: number,
  limits: LeaseLimits,
  { scope, expiresAt = Number.POSITIVE_INFINITY }: Pick<Access, "scope" | "expiresAt">,
  now: number,
): number {
  const left = Math.floor((expiresAt - now) / 1000);
  return Math.max(limits.lowest, Math.min(asked, limits.highest, scope.maxLease ?? limits.highest, left));
}
