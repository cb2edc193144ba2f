/** The chances, 0 to 1, of what may happen to one event. At most one of them does. */
export type EventPlan = {
  /** The same seed and the same events have the same fates. */
  seed: number;
  /** What passes whatever its fate; it is another event's part to be lost. */
  spared?: RegExp | undefined;
  drop?: number;
  duplicate?: number;
  /** It comes after its successor. */
  reorder?: number;
  /** It comes up to `delayMs` late, and its successors before it. */
  delay?: number;
  delayMs?: number;
};

export type MangleCounts = {
  passed: number;
  dropped: number;
  duplicated: number;
  reordered: number;
  delayed: number;
};

export function newMangleCounts(): MangleCounts {
  return { passed: 0, dropped: 0, duplicated: 0, reordered: 0, delayed: 0 };
}

/** An event that waits for its successor waits no longer than this. */
const patienceMs = 500;

/** Lets the lines of one event stream through as its plan wants it. */
export class LineMangler {
  readonly #plan: EventPlan;
  readonly #random: () => number;
  readonly #counts: MangleCounts;
  readonly #write: (line: string) => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  #rest = "";
  #held: string | undefined;

  /** `stream` counts the streams of one plan: each has fates of its own. */
  constructor(
    plan: EventPlan | undefined,
    stream: number,
    counts: MangleCounts,
    write: (line: string) => void,
  ) {
    this.#plan = plan ?? { seed: 0 };
    this.#random = seededRandom(this.#plan.seed * 1009 + stream);
    this.#counts = counts;
    this.#write = write;
  }

  take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") this.#line(line);
  }

  /** Forgets what is still on its way. */
  close(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#held = undefined;
  }

  #line(line: string): void {
    const { drop = 0, duplicate = 0, reorder = 0, delay = 0, delayMs = 0 } = this.#plan;
    const fate = this.#plan.spared?.test(line) === true ? 1 : this.#random();
    if (fate < drop) this.#counts.dropped++;
    else if (fate < drop + duplicate) this.#duplicate(line);
    else if (fate < drop + duplicate + reorder) this.#hold(line);
    else if (fate < drop + duplicate + reorder + delay) this.#delay(line, this.#random() * delayMs);
    else {
      this.#counts.passed++;
      this.#pass(line);
    }
  }

  #duplicate(line: string): void {
    this.#counts.duplicated++;
    this.#pass(line);
    this.#pass(line);
  }

  #delay(line: string, ms: number): void {
    this.#counts.delayed++;
    this.#later(ms, () => this.#write(line));
  }

  #hold(line: string): void {
    this.#counts.reordered++;
    this.#letHeldGo();
    this.#held = line;
    this.#later(patienceMs, () => {
      if (this.#held === line) this.#letHeldGo();
    });
  }

  #pass(line: string): void {
    this.#write(line);
    this.#letHeldGo();
  }

  #letHeldGo(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held !== undefined) this.#write(held);
  }

  #later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, ms);
    this.#timers.add(timer);
  }
}

/** Numbers from 0 to 1 that depend on the seed alone: a counter, its bits mixed by multiplications with odd constants. */
export function seededRandom(seed: number): () => number {
  let counter = seed >>> 0;
  return () => {
    counter = (counter + 0x9e37_79b9) >>> 0;
    let bits = Math.imul(counter ^ (counter >>> 16), 0x21f0_aaad);
    bits = Math.imul(bits ^ (bits >>> 15), 0x735a_2d97);
    return ((bits ^ (bits >>> 15)) >>> 0) / 2 ** 32;
  };
}
