import type { Log } from "../shared/log.ts";

/** Says once that something is wrong, once that it is mended, and nothing in between. */
export class Outage {
  readonly #log: Log;
  readonly #mended: string;
  #kind: string | undefined;

  constructor(log: Log, mended: string) {
    this.#log = log;
    this.#mended = mended;
  }

  /** `kind` tells one trouble from another: the same kind again is not news, whatever its words. */
  begin(kind: string, message: string, level: "warn" | "error" = "warn"): void {
    if (this.#kind === kind) return;
    this.#kind = kind;
    this.#log[level](message);
  }

  end(): void {
    if (this.#kind === undefined) return;
    this.#kind = undefined;
    this.#log.info(this.#mended);
  }
}
