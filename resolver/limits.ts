import type { Name } from "../shared/name.ts";

const standings = ["has room", "is kept", "waits"] as const;

/** One claim of a token that may have only so many bindings. */
export interface Wish {
  hostId: string;
  name: Name;
  since: number;
  /** How many bindings it has. */
  size: number;
  /** It had room until now; or its name is kept, and some room with it; or it waits. */
  standing: (typeof standings)[number];
}

/**
 * The wishes there is no room for. Who has room keeps it, then kept names come back to what is kept of it, then those that wait get
 * the rest; each in the order of `since`, host id and name. One that is too large for what is left does not stop a smaller one behind it.
 */
export function withoutRoom<T extends Wish>(wishes: T[], room: number): Set<T> {
  const ordered = wishes.toSorted(
    (a, b) =>
      standings.indexOf(a.standing) - standings.indexOf(b.standing) ||
      a.since - b.since ||
      compareText(a.hostId, b.hostId) ||
      compareText(a.name, b.name),
  );
  const refused = new Set<T>();
  let left = room;
  for (const wish of ordered) {
    if (wish.size <= left) left -= wish.size;
    else refused.add(wish);
  }
  return refused;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
