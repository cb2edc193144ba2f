import type { Problem } from "../../shared/binding.ts";
import { problemOf } from "../problem.ts";
import type { ContainerFacts } from "./facts.ts";

/** Longer than nearly everybody lets a container take for its end. */
const longMs = 60_000;

/** Tells of containers that were told to stop and did not: nothing of them is declared, and somebody may wonder why. */
export class LongDraining {
  #since = new Map<string, number>();

  /** `draining`: all that are at `now`, in milliseconds that never go back. */
  see(draining: readonly Pick<ContainerFacts, "id" | "name" | "startedAt">[], now: number): Problem[] {
    const before = this.#since;
    const keyed = draining.map(({ id, name, startedAt }) => ({ key: `${id} ${startedAt}`, name }));
    this.#since = new Map(keyed.map(({ key }) => [key, before.get(key) ?? now]));
    const long = keyed.filter(({ key }) => now - (this.#since.get(key) ?? now) >= longMs);
    return long.map(({ name }) => problemOf(name, "draining", message));
  }
}

const message =
  "it was told to stop more than a minute ago and still runs, so nothing of it is declared; stop it for good, or restart it";
