import type { ContainerFacts } from "./facts.ts";
import { signalName } from "./signals.ts";

/** Events name containers that may never be listed; past this many the oldest is forgotten. */
const maxContainers = 4096;

/**
 * Which containers were told to stop, and when. A run that was is left out from then on; the next run, which started later, is not: the
 * event may come after the new run was seen, so only the engine's own clock can tell.
 */
export class Stops {
  /** By container: when each signal was sent last. */
  readonly #told = new Map<string, Map<string, number>>();

  /** `signal` undefined: the engine was told to stop it, by whatever signal. False when it is no signal at all. */
  take(id: string, signal: string | undefined, atMs: number): boolean {
    const name = signal === undefined ? "SIGKILL" : signalName(signal);
    if (name === undefined) return false;
    const told = this.#told.get(id) ?? new Map<string, number>();
    told.set(name, Math.max(atMs, told.get(name) ?? 0));
    this.#told.delete(id);
    this.#told.set(id, told);
    const oldest = this.#told.size > maxContainers ? this.#told.keys().next().value : undefined;
    if (oldest !== undefined) this.#told.delete(oldest);
    return true;
  }

  /** Whether this run was sent its stop signal, or the one that nothing survives. */
  has({ id, startedAt, stopSignal }: ContainerFacts): boolean {
    const told = this.#told.get(id);
    if (told === undefined) return false;
    const started = Date.parse(startedAt);
    const at = Math.max(told.get(stopSignal) ?? 0, told.get("SIGKILL") ?? 0);
    return at > 0 && !(at < started);
  }

  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#told.keys()) if (!ids.has(id)) this.#told.delete(id);
  }
}
