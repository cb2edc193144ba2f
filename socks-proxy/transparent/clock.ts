/** Time as this mode sees it, so that tests can turn it by hand. */
export interface Clock {
  /** Milliseconds that only ever grow. */
  now(): number;
  /** Runs `run` once after `ms`; the returned function calls it off. */
  after(ms: number, run: () => void): () => void;
}
