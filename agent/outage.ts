import type { Log } from "../shared/log.ts";

/** Says once that something is wrong, once that it is mended, and nothing in between. */
export class Outage {
  readonly #log: Log;
  readonly #mended: () => string;
  readonly #kinds = new Set<string>();

  /** `mended`: the line for the end, made when it comes. */
  constructor(log: Log, mended: () => string) {
    this.#log = log;
    this.#mended = mended;
  }

  /**
   * `kind` tells one trouble from another: the same kind again is not news, whatever its words, nor is it after another one, because two
   * resolvers may each have their own.
   */
  begin(kind: string, message: string, level: "warn" | "error" = "warn"): void {
    if (this.#kinds.has(kind)) return;
    this.#kinds.add(kind);
    this.#log[level](message);
  }

  end(): void {
    if (this.#kinds.size === 0) return;
    this.#kinds.clear();
    this.#log.info(this.#mended());
  }
}
