import type { Problem } from "../shared/binding.ts";
import type { Log } from "../shared/log.ts";

/** Logs problems and notes when they come up, not at each pass they last. */
export class DeclaredNews {
  readonly #log: Log;
  #problems = new Set<string>();
  #notes = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  read(problems: readonly Problem[], notes: readonly string[]): void {
    const lines = problems.map(({ container, message }) =>
      container === "" ? message : `${container}: ${message}`,
    );
    for (const line of lines) if (!this.#problems.has(line)) this.#log.warn(line);
    for (const note of notes) if (!this.#notes.has(note)) this.#log.debug(note);
    this.#problems = new Set(lines);
    this.#notes = new Set(notes);
  }
}
