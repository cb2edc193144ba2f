/** How long to wait between attempts, in milliseconds. */
export interface Pace {
  first: number;
  cap: number;
}

/** Waiting helps: an engine or a resolver that restarts is back within seconds. */
export const soon: Pace = { first: 500, cap: 10_000 };
/** A person has to mend it: asking often only fills the other side's log. */
export const slowly: Pace = { first: 2_000, cap: 30_000 };

/** Doubles from `first` to `cap`; `random` (0 to 1) spreads it over the upper half, so that a fleet does not return in step. */
export function backoffMs(pace: Pace, failures: number, random: number): number {
  const whole = Math.min(pace.cap, pace.first * 2 ** Math.min(failures, 30));
  return whole / 2 + (whole / 2) * random;
}
