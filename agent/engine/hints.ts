/** What a pass has to look at besides what the list tells it to. */
export interface Hinted {
  ids: ReadonlySet<string>;
  /** Everything. */
  all: boolean;
}

/** What was hinted at since the last pass began. */
export class Hints {
  #ids = new Set<string>();
  #all = false;

  get size(): number {
    return this.#ids.size;
  }

  get all(): boolean {
    return this.#all;
  }

  has(id: string): boolean {
    return this.#all || this.#ids.has(id);
  }

  add(id: string): void {
    this.#ids.add(id);
  }

  addAll(): void {
    this.#ids.clear();
    this.#all = true;
  }

  /** For the pass that begins; what is hinted at from now on is the next one's. */
  take(): Hinted {
    const taken = { ids: this.#ids, all: this.#all };
    this.#ids = new Set();
    this.#all = false;
    return taken;
  }

  /** The pass that took them came to nothing. */
  giveBack({ ids, all }: Hinted): void {
    for (const id of ids) this.#ids.add(id);
    this.#all ||= all;
  }
}
