/** Gives a line back when it may be written, with the number of those held back before it; undefined when it is held back. */
export type LineLimit = (line: string) => string | undefined;

/** Lets `most` lines through in any window (a second) that begins with one, so that no client can fill the log. `now` in milliseconds. */
export function createLineLimit(most: number, now: () => number, windowMs = 1_000): LineLimit {
  let windowEnd = Number.NEGATIVE_INFINITY;
  let written = 0;
  let heldBack = 0;
  return function admit(line) {
    const time = now();
    if (time >= windowEnd) {
      windowEnd = time + windowMs;
      written = 0;
    }
    if (written === most) {
      heldBack++;
      return undefined;
    }
    written++;
    const shown = heldBack === 0 ? line : `${line} (${heldBack} others before it are not shown)`;
    heldBack = 0;
    return shown;
  };
}
