import type { PushReply } from "../../shared/binding.ts";
import { Bell, type Clock } from "../clock.ts";

/** How the host stands with the registry, for metrics and status. */
export interface LeaseState {
  /** Of the resolver whose turn it is. */
  url: string;
  /** What the last request met; undefined when it was taken. */
  fault: string | undefined;
  /** As it was granted last, whether it still runs or not; undefined while there was none, and when it is another process' now. */
  leaseMs: number | undefined;
  /** When the last request that was taken was sent, by the agent's clock. */
  renewedAt: number | undefined;
  isLinked: boolean;
  pushes: number;
  renewals: number;
  /** The label this host's own names stand under; undefined before the first reply. */
  hostLabel: string | undefined;
  refused: PushReply["refused"];
}

/** Counts what the registry took, and tells who waits for the next time. */
export class Standing {
  fault: string | undefined;
  leaseMs: number | undefined;
  renewedAt: number | undefined;
  pushes = 0;
  renewals = 0;
  readonly #waiting = new Set<Bell>();

  taken(kind: "push" | "renewal", sentAt: number): void {
    if (kind === "push") this.pushes += 1;
    else this.renewals += 1;
    this.fault = undefined;
    this.renewedAt = sentAt;
    for (const bell of this.#waiting) bell.ring();
  }

  /** Resolves once `isReached` holds after something was taken, or after `limitMs`. Never rejects. */
  async until(isReached: () => Promise<boolean>, clock: Clock, limitMs: number): Promise<void> {
    const limit = new AbortController();
    const cancel = clock.after(limitMs, () => limit.abort());
    const bell = new Bell();
    this.#waiting.add(bell);
    while (!limit.signal.aborted && !(await isReached())) await bell.wait(clock, limitMs, limit.signal);
    this.#waiting.delete(bell);
    cancel();
  }
}
