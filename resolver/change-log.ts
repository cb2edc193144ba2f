import type { Name } from "../shared/name.ts";
import type { Change } from "./changes.ts";

export interface ChangeLogLimits {
  changes: number;
  /** Of all kept changes together. */
  names: number;
}

const standardLimits: ChangeLogLimits = { changes: 1_000, names: 50_000 };

/** The last changes of names in one life of the registry, for readers that come back after a while, and a bell for those that wait. */
export class ChangeLog {
  readonly #limits: ChangeLogLimits;
  readonly #listeners = new Set<() => void>();
  #kept: { revision: number; names: Name[] }[] = [];
  #keptNames = 0;
  #generation: string;
  /** Every change after this revision is kept. */
  #start: number;
  #revision: number;

  /** `revision` is the registry's when this log begins: of changes before it nothing is known. */
  constructor(generation: string, revision: number, limits = standardLimits) {
    this.#generation = generation;
    this.#start = revision;
    this.#revision = revision;
    this.#limits = limits;
  }

  get generation(): string {
    return this.#generation;
  }

  /** The newest one noted: the registry's, or a little more for a moment. */
  get revision(): number {
    return this.#revision;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /**
   * Changes come with rising revisions; two that touch names may share one, and then the second is counted as one later: who has seen the
   * first hears of it as well. A change that touched no name is nothing new to anybody who reads names.
   */
  note({ revision, names }: Change): void {
    const isLate = names.length > 0 && revision <= this.#revision;
    this.#revision = isLate ? this.#revision + 1 : Math.max(this.#revision, revision);
    if (names.length === 0) return;
    this.#kept.push({ revision: this.#revision, names });
    this.#keptNames += names.length;
    this.#forgetOldest();
    this.#ring();
  }

  /** The registry was put back to another state: nobody can go on from what they know. */
  restart(generation: string, revision: number): void {
    this.#generation = generation;
    this.#start = revision;
    this.#revision = revision;
    this.#kept = [];
    this.#keptNames = 0;
    this.#ring();
  }

  /** The names that changed after `revision`, sorted; undefined when some may be missing: read everything instead. */
  since(generation: string, revision: number): Name[] | undefined {
    if (generation !== this.#generation || revision < this.#start) return undefined;
    const later = this.#kept.slice(this.#firstAfter(revision));
    return [...new Set(later.flatMap(({ names }) => names))].toSorted();
  }

  /** `listener` is called after every change, at once: it must only take note. The function returned ends that. */
  subscribe(listener: () => void): () => void {
    // A function of its own, because one listener may subscribe twice.
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  #forgetOldest(): void {
    let dropped = 0;
    while (this.#kept.length - dropped > this.#limits.changes || this.#keptNames > this.#limits.names) {
      const oldest = this.#kept[dropped++];
      if (oldest === undefined) break;
      this.#keptNames -= oldest.names.length;
      this.#start = oldest.revision;
    }
    this.#kept.splice(0, dropped);
  }

  /** By halves: readers that keep up ask for the end of the list. */
  #firstAfter(revision: number): number {
    let [low, high] = [0, this.#kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#kept[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #ring(): void {
    for (const listener of this.#listeners) listener();
  }
}
