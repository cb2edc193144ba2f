import type { HostRecord } from "./records.ts";

/** What a resolver's operator grants, in seconds. */
export interface LeaseLimits {
  lowest: number;
  highest: number;
}

export const standardLeaseLimits: LeaseLimits = { lowest: 5, highest: 3600 };

/** A request of a host's process, as far as it tells whose turn it is. */
export interface Turn {
  epoch: number;
  sequence: number;
  digest: string;
}

/**
 * `changed`: the set must be applied. `unchanged`: only the lease (and the epoch, when it rose) is new. `unknown-digest`: a renewal of a
 * set we do not hold. `superseded`: another process speaks for this host, or the request is older than one already answered.
 */
export type Verdict = "changed" | "unchanged" | "unknown-digest" | "superseded";

/** What the registry keeps of a host's lease; volatile on Node, where nothing is written for a renewal. */
export interface Lease {
  /** Milliseconds of the registry's clock. */
  expiresAt: number;
  /** Of the last request answered in the held epoch; 0 when that is forgotten. */
  sequence: number;
}

/** `sequence` is the last one answered. */
export function judgePush(held: HostRecord | undefined, sequence: number, turn: Turn): Verdict {
  if (held === undefined) return "changed";
  if (isSuperseded(held.epoch, sequence, turn)) return "superseded";
  return held.digest === turn.digest ? "unchanged" : "changed";
}

export function judgeRenewal(held: HostRecord | undefined, sequence: number, turn: Turn): Verdict {
  if (held === undefined) return "unknown-digest";
  if (isSuperseded(held.epoch, sequence, turn)) return "superseded";
  // A new epoch has to begin with a push: its process has not yet said what it declares.
  return held.digest === turn.digest && held.epoch === turn.epoch ? "unchanged" : "unknown-digest";
}

export function grantLease(asked: number, limits: LeaseLimits): number {
  return Math.min(Math.max(asked, limits.lowest), limits.highest);
}

function isSuperseded(heldEpoch: number, heldSequence: number, turn: Turn): boolean {
  if (turn.epoch !== heldEpoch) return turn.epoch < heldEpoch;
  return turn.sequence <= heldSequence;
}
