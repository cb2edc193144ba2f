import { type Name, parentOf } from "../../shared/name.ts";
import type { ZoneEntry } from "../records.ts";
import type { Zone } from "./zone.ts";

/** The zone in maps: for Node, where every answer comes from memory. */
export function createMemoryZone(): Zone {
  const entries = new Map<string, ZoneEntry>();
  const ownersBySource = new Map<string, Name[]>();
  const below = new Map<string, number>();

  function countBelow(owner: Name, step: 1 | -1): void {
    for (let at = parentOf(owner); at !== undefined && at !== "."; at = parentOf(at)) {
      const count = (below.get(at) ?? 0) + step;
      if (count === 0) below.delete(at);
      else below.set(at, count);
    }
  }

  function put(entry: ZoneEntry): boolean {
    const known = entries.get(entry.owner);
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(entry)) return false;
    if (known === undefined) countBelow(entry.owner, 1);
    entries.set(entry.owner, entry);
    return true;
  }

  function drop(owner: Name): void {
    if (entries.delete(owner)) countBelow(owner, -1);
  }

  return {
    replace(source, fresh) {
      const owners = fresh.map((entry) => entry.owner);
      const gone = (ownersBySource.get(source) ?? []).filter((owner) => !owners.includes(owner));
      gone.forEach(drop);
      const changed = fresh.filter(put).map((entry) => entry.owner);
      if (owners.length === 0) ownersBySource.delete(source);
      else ownersBySource.set(source, owners);
      return [...gone, ...changed];
    },
    entry: (owner) => entries.get(owner),
    hasBelow: (owner) => below.has(owner),
    clear() {
      for (const map of [entries, ownersBySource, below]) map.clear();
    },
  };
}
