import type { WantedRelay } from "../declare/input.ts";

/** A port that was a relay's, kept for it over restarts of its container and of the agent. */
export interface AllottedPort {
  /** WantedRelay.key. */
  key: string;
  protocol: WantedRelay["protocol"];
  port: number;
  /** When it was last known to be open, in milliseconds of the wall clock: it has to mean something after a reboot. */
  usedAt: number;
}

/** Both ends belong to it. */
export interface PortRange {
  first: number;
  last: number;
}

/** Of an agent that opens no relay. */
export const noPorts: PortRange = { first: 1, last: 0 };

/** For this long a client may still have the port in some cache, and would reach another service at it. */
const restMs = 24 * 3_600_000;
/** How far behind `usedAt` may be: it is not worth a write at every pass. */
const stampEveryMs = 3_600_000;

/** Which port of the range is whose. TCP and UDP ports are apart from each other, as they are on the wire. */
export class RelayPorts {
  readonly #range: PortRange;
  readonly #byKey = new Map<string, AllottedPort>();
  /** The same ones, and former ones of theirs, which rest. */
  readonly #byPort = new Map<string, AllottedPort>();

  /** What lies outside the range, or claims another one's port, is forgotten. */
  constructor(range: PortRange, stored: readonly AllottedPort[]) {
    this.#range = range;
    const latestFirst = stored.toSorted((left, right) => right.usedAt - left.usedAt);
    for (const allotted of latestFirst) {
      if (this.#byPort.has(portOf(allotted)) || allotted.port < range.first || allotted.port > range.last)
        continue;
      if (this.#byKey.has(keyOf(allotted))) this.#byPort.set(portOf(allotted), { ...allotted });
      else this.#add({ ...allotted });
    }
  }

  /**
   * Every port the relay may try, best first: its own, then those that are nobody's, or have rested for a day. Ports in `open`, which are
   * in use, are never among them, nor are others' that have rested for less: `resting` counts these.
   */
  candidates(
    relay: Pick<WantedRelay, "key" | "protocol">,
    open: ReadonlySet<number>,
    now: number,
  ): { ports: number[]; resting: number } {
    const own = this.#byKey.get(keyOf(relay));
    const free: number[] = [];
    let resting = 0;
    for (const port of this.#portsFor(relay)) {
      if (open.has(port) || port === own?.port) continue;
      const holder = this.#byPort.get(portOf({ protocol: relay.protocol, port }));
      if (holder === undefined || holder.key === relay.key || now - holder.usedAt >= restMs) free.push(port);
      else resting += 1;
    }
    const first = own === undefined || open.has(own.port) ? [] : [own.port];
    return { ports: [...first, ...free], resting };
  }

  /** The port is open for the relay now; whose it was loses it. The relay's former one rests, as if its relay were gone. */
  allot(relay: Pick<WantedRelay, "key" | "protocol">, port: number, now: number): void {
    const { key, protocol } = relay;
    const holder = this.#byPort.get(portOf({ protocol, port }));
    if (holder !== undefined && this.#byKey.get(keyOf(holder)) === holder) this.#byKey.delete(keyOf(holder));
    this.#add({ key, protocol, port, usedAt: now });
  }

  /** The relay's port is still open, or was until now. True when that is worth writing down. */
  stamp(relay: Pick<WantedRelay, "key" | "protocol">, now: number, isLast = false): boolean {
    const own = this.#byKey.get(keyOf(relay));
    // A clock that was set back must not make the port look used in the future.
    if (own === undefined || (!isLast && now >= own.usedAt && now - own.usedAt < stampEveryMs)) return false;
    own.usedAt = now;
    return true;
  }

  /** What to store. */
  list(): AllottedPort[] {
    return [...this.#byPort.values()];
  }

  #add(allotted: AllottedPort): void {
    this.#byKey.set(keyOf(allotted), allotted);
    this.#byPort.set(portOf(allotted), allotted);
  }

  /** Begins at a place that the key chooses, so that a relay mostly finds its port again even when the stored ones are lost. */
  *#portsFor({ key }: Pick<WantedRelay, "key">): Generator<number> {
    const { first, last } = this.#range;
    const count = last - first + 1;
    const start = hashOf(key) % count;
    for (let step = 0; step < count; step++) yield first + ((start + step) % count);
  }
}

function keyOf({ key, protocol }: Pick<WantedRelay, "key" | "protocol">): string {
  return `${protocol}\n${key}`;
}

function portOf({ protocol, port }: Pick<AllottedPort, "protocol" | "port">): string {
  return `${port}/${protocol}`;
}

/** FNV-1a, 32 bits: it has to spread, not to hide. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}
