/** When names, or ports of names, were last noted: of so many at most, those noted last. */
export class RecentNames {
  readonly #limit: number;
  readonly #notedAt = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  note(name: string, now: number): void {
    this.#notedAt.delete(name);
    this.#notedAt.set(name, now);
    if (this.#notedAt.size <= this.#limit) return;
    for (const oldest of this.#notedAt.keys()) return void this.#notedAt.delete(oldest);
  }

  wasWithin(name: string, ms: number, now: number): boolean {
    const notedAt = this.#notedAt.get(name);
    return notedAt !== undefined && now - notedAt <= ms;
  }
}
