/** Inspecting waits for the container's lock in the engine, for as long as a start takes: one container must not hold up the others. */
const parallel = 8;

/**
 * Looks at single containers: several at a time, at one container one at a time. A container asked for while it is looked at is looked
 * at again, because what is read may be older than what was asked for.
 */
export class Looks {
  readonly #look: (id: string) => Promise<void>;
  readonly #waiting = new Set<string>();
  readonly #underWay = new Set<string>();

  /** `look` never rejects. */
  constructor(look: (id: string) => Promise<void>) {
    this.#look = look;
  }

  /** How many containers wait for a look or are being looked at. */
  get size(): number {
    return this.#waiting.size + this.#underWay.size;
  }

  has(id: string): boolean {
    return this.#waiting.has(id) || this.#underWay.has(id);
  }

  ask(id: string): void {
    this.#waiting.add(id);
    this.#begin();
  }

  /** Calls off those that have not begun. */
  clear(): void {
    this.#waiting.clear();
  }

  #begin(): void {
    for (const id of this.#waiting) {
      if (this.#underWay.size >= parallel) return;
      if (this.#underWay.has(id)) continue;
      this.#waiting.delete(id);
      this.#underWay.add(id);
      this.#run(id);
    }
  }

  async #run(id: string): Promise<void> {
    await this.#look(id);
    this.#underWay.delete(id);
    this.#begin();
  }
}
