/** A request of a host's process, as far as it tells whose turn it is. */
export interface TurnTaken {
  epoch: number;
  sequence: number;
}

/**
 * Whether another process speaks for the host, or the turn is no later than the last one answered, such as that of a request played
 * back. `last` outlives what is held of the host; undefined for a host never heard.
 */
export function isSuperseded(last: TurnTaken | undefined, turn: TurnTaken): boolean {
  if (last === undefined) return false;
  if (turn.epoch !== last.epoch) return turn.epoch < last.epoch;
  return turn.sequence <= last.sequence;
}

/**
 * Whether a renewal or a delta goes on from what is held: the set with `digest`, of the same epoch. A new epoch has to begin with a push:
 * its process has not yet said what it declares.
 */
export function goesOnFrom(
  held: { epoch: number; digest: string },
  { epoch }: TurnTaken,
  digest: string,
): boolean {
  return held.epoch === epoch && held.digest === digest;
}
