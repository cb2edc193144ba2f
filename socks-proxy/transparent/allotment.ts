import type { Name } from "../../shared/name.ts";

/** A name and the host part of its address. `usedAt`: when it was last answered or connected to, in milliseconds of the wall clock. */
export interface Allotted {
  name: Name;
  host: number;
  usedAt: number;
}

/**
 * Nobody else gets an address for so long after its last use: programs keep addresses far beyond their TTL. An hour more than the day that
 * is promised, because what is kept between runs may be an hour old.
 */
export const restMs = 25 * 3_600_000;
/** Places a name tries by its hash before it takes the next one that is free. */
const hashedTries = 16;
/** Names kept beyond their rest, so that they find their old address again. */
const mostKept = 32_768;

/**
 * Which name has which address. A name's first choice follows from the name alone, so that most addresses stay even when what was kept
 * is lost. Changing the hash would move every name: it is part of the promise.
 */
export class Allotment {
  readonly #size: number;
  readonly #reserved: ReadonlySet<number>;
  readonly #byName = new Map<Name, Allotted>();
  readonly #byHost = new Map<number, Allotted>();

  /** `reserved` are host parts nobody gets. Of `kept`, what has no place in a range of `size` addresses is dropped. */
  constructor(size: number, reserved: Iterable<number>, kept: Iterable<Allotted>, now: number) {
    this.#size = size;
    this.#reserved = new Set(reserved);
    for (const { name, host, usedAt } of kept) {
      if (!this.#isUsable(host) || this.#byHost.has(host) || this.#byName.has(name)) continue;
      // A clock that was ahead once must not keep an address for years.
      this.#add({ name, host, usedAt: Math.min(usedAt, now) });
    }
  }

  /** The host part of `name`'s address, used just now; undefined when every place is taken. */
  allot(name: Name, now: number): { host: number; isNew: boolean } | undefined {
    const known = this.#byName.get(name);
    if (known !== undefined) {
      known.usedAt = Math.max(known.usedAt, now);
      return { host: known.host, isNew: false };
    }
    if (this.#byName.size >= mostKept) this.#dropRested(now);
    const host = this.#placeFor(name, now);
    if (host === undefined) return undefined;
    const former = this.#byHost.get(host);
    if (former !== undefined) this.#byName.delete(former.name);
    this.#add({ name, host, usedAt: now });
    return { host, isNew: true };
  }

  /** Notes that the address of `name` is in use. */
  touch(name: Name, now: number): void {
    const known = this.#byName.get(name);
    if (known !== undefined) known.usedAt = Math.max(known.usedAt, now);
  }

  nameAt(host: number): Name | undefined {
    return this.#byHost.get(host)?.name;
  }

  /** Whether `name` was used so recently that its address is nobody else's. */
  isHeld(name: Name, now: number): boolean {
    const known = this.#byName.get(name);
    return known !== undefined && !hasRested(known, now);
  }

  /** All of them, by name: equal allotments are listed alike. */
  entries(): Allotted[] {
    return [...this.#byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  #add(allotted: Allotted): void {
    this.#byName.set(allotted.name, allotted);
    this.#byHost.set(allotted.host, allotted);
  }

  #placeFor(name: Name, now: number): number | undefined {
    let host = 0;
    for (let attempt = 0; attempt < hashedTries; attempt++) {
      host = hash(name, attempt) % this.#size;
      if (this.#isFree(host, now)) return host;
    }
    for (let step = 1; step <= this.#size; step++) {
      const next = (host + step) % this.#size;
      if (this.#isFree(next, now)) return next;
    }
    return undefined;
  }

  #isFree(host: number, now: number): boolean {
    if (!this.#isUsable(host)) return false;
    const holder = this.#byHost.get(host);
    return holder === undefined || hasRested(holder, now);
  }

  /** Ends of 0 and 255 look like a network's and its broadcast address, which some programs refuse; the first two are the DNS stub's. */
  #isUsable(host: number): boolean {
    const end = host % 256;
    return host > 1 && host < this.#size && end !== 0 && end !== 255 && !this.#reserved.has(host);
  }

  #dropRested(now: number): void {
    for (const allotted of [...this.#byName.values()]) {
      if (!hasRested(allotted, now)) continue;
      this.#byName.delete(allotted.name);
      this.#byHost.delete(allotted.host);
    }
  }
}

function hasRested({ usedAt }: Allotted, now: number): boolean {
  return now - usedAt >= restMs;
}

/** FNV-1a over the name, then MurmurHash3's finaliser, because FNV alone leaves the low bits of short names alike. */
function hash(name: Name, attempt: number): number {
  let state = (0x811c9dc5 ^ Math.imul(attempt, 0x9e3779b1)) >>> 0;
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 0x01000193);
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
