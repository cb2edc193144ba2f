import { readFileSync } from "node:fs";

/** Where the system does not say how many there are. */
const unknown = 1_024;
/** Each connection may take 64 KiB of memory as well: a host with a million descriptors has no memory for as many. */
const most = 16_384;

/** How many descriptors relays may take together: a quarter of what this process may open, so that the others always find some. */
export function descriptorsForRelays(): number {
  try {
    return relayShareOf(readFileSync("/proc/self/limits", "utf8"));
  } catch {
    return unknown;
  }
}

/** Of the text of /proc/self/limits: its first number is the one that holds, the other is how far the process may raise it. */
export function relayShareOf(limits: string): number {
  const soft = Number(/^Max open files +(\d+) /m.exec(limits)?.[1]);
  return Number.isSafeInteger(soft) ? Math.min(most, Math.floor(soft / 4)) : unknown;
}
