import type { Name } from "../../shared/name.ts";
import type { Candidate } from "./endpoint-order.ts";

/** Milliseconds for which one that failed is tried after all others. */
const deadForMs = 10_000;
/** Bounds the memory, however many endpoints fail. */
const maxDead = 4096;

interface Dead {
  until: number;
  /** Whose endpoint it was, where that is a name berth knows. */
  name: Name | undefined;
}

/**
 * Endpoints that failed a moment ago. They go to the back and are never left out: what failed for one client may be all there is for the
 * next. Times are milliseconds of any clock that only goes up.
 */
export class DeadEndpoints {
  /** By address and port, the one that failed last at the end. */
  readonly #dead = new Map<string, Dead>();

  failed(candidate: Candidate, name: Name | undefined, now: number): void {
    const key = candidateKey(candidate);
    this.#dead.delete(key);
    this.#dead.set(key, { until: now + deadForMs, name });
    if (this.#dead.size <= maxDead) return;
    const [oldest] = this.#dead.keys();
    if (oldest !== undefined) this.#dead.delete(oldest);
  }

  worked(candidate: Candidate): void {
    if (this.#dead.size > 0) this.#dead.delete(candidateKey(candidate));
  }

  /** What failed under these names may be another program by now, or the same one restarted. */
  changed(names: ReadonlySet<Name> | "all"): void {
    for (const [key, { name }] of this.#dead) {
      if (names === "all" || (name !== undefined && names.has(name))) this.#dead.delete(key);
    }
  }

  /** The same candidates, those that failed in the last 10 s behind the others; otherwise in their order. */
  order(candidates: readonly Candidate[], now: number): readonly Candidate[] {
    if (this.#dead.size === 0 || candidates.length < 2) return candidates;
    const alive = candidates.filter((candidate) => !this.isDead(candidate, now));
    if (alive.length === candidates.length) return candidates;
    return [...alive, ...candidates.filter((candidate) => this.isDead(candidate, now))];
  }

  /** Whether it failed in the last 10 s. */
  isDead(candidate: Candidate, now: number): boolean {
    return (this.#dead.get(candidateKey(candidate))?.until ?? now) > now;
  }
}

/** Two candidates are the same one when their keys are. */
export function candidateKey({ address, port }: Candidate): string {
  return `${address} ${port}`;
}
