import { isInZone, type Name } from "../../shared/name.ts";
import type { Lifetime } from "./lifetime.ts";

export interface CacheLimits {
  answers: number;
  /** Of all answers together, as `keep` weighs them: one answer may be as long as thousands of others. */
  weight: number;
}

interface Kept<T> {
  name: Name;
  value: T;
  weight: number;
  goodUntil: number;
  staleUntil: number;
  failedAt: number | undefined;
}

/** An answer past its time. */
export interface StaleAnswer<T> {
  value: T;
  /** When it is too old to stand in. */
  staleUntil: number;
  /** When asking for a newer one last came to nothing. */
  failedAt: number | undefined;
}

/**
 * What was answered last, by owner name and kind. The one that nobody wanted for longest goes first when there is no room. Times are
 * milliseconds of any clock that only goes up.
 */
export class AnswerCache<T> {
  /** In the order in which they were last wanted. */
  readonly #answers = new Map<string, Kept<T>>();
  /** The keys of a service's names, `_80._tcp.web` and such, by its own name: they change together. */
  readonly #keysOf = new Map<Name, Set<string>>();
  readonly #limits: CacheLimits;
  #weight = 0;

  constructor(limits: CacheLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#answers.size;
  }

  /** One that is still good. */
  recall(name: Name, kind: string | number, now: number): T | undefined {
    const key = `${kind} ${name}`;
    const kept = this.#answers.get(key);
    if (kept === undefined || kept.goodUntil <= now) return undefined;
    this.#touch(key, kept);
    return kept.value;
  }

  /** One that may stand in while no resolver answers. */
  recallStale(name: Name, kind: string | number, now: number): StaleAnswer<T> | undefined {
    const key = `${kind} ${name}`;
    const kept = this.#answers.get(key);
    if (kept === undefined || kept.staleUntil <= now) return undefined;
    this.#touch(key, kept);
    return kept;
  }

  /** Asking for a newer one came to nothing. */
  failed(name: Name, kind: string | number, now: number): void {
    const kept = this.#answers.get(`${kind} ${name}`);
    if (kept !== undefined) kept.failedAt = now;
  }

  /** Takes the place of what was answered before. An answer that is good for no time leaves nothing behind. */
  keep(
    name: Name,
    kind: string | number,
    answer: { value: T; weight: number } & Lifetime,
    now: number,
  ): void {
    const key = `${kind} ${name}`;
    this.#delete(key);
    const { value, weight, goodMs, staleMs } = answer;
    const goodUntil = now + goodMs;
    const staleUntil = goodUntil + staleMs;
    if (staleUntil <= now) return;
    this.#answers.set(key, { name, value, weight, goodUntil, staleUntil, failedAt: undefined });
    this.#weight += weight;
    const service = serviceOf(name);
    const keys = this.#keysOf.get(service);
    if (keys === undefined) this.#keysOf.set(service, new Set([key]));
    else keys.add(key);
    this.#makeRoom();
  }

  /** Nothing is at this name, nor below it (RFC 8020). What was found to be nothing stays so. */
  dropBelow(name: Name): void {
    for (const key of this.#keysOf.get(serviceOf(name)) ?? []) {
      const kept = this.#answers.get(key);
      const mayStandIn = kept !== undefined && kept.staleUntil > kept.goodUntil;
      if (mayStandIn && isInZone(kept.name, name)) this.#delete(key);
    }
  }

  /** Something of these services changed. */
  drop(services: Iterable<Name>): void {
    for (const service of services) {
      for (const key of this.#keysOf.get(service) ?? []) this.#delete(key);
    }
  }

  clear(): void {
    this.#answers.clear();
    this.#keysOf.clear();
    this.#weight = 0;
  }

  #touch(key: string, kept: Kept<T>): void {
    this.#answers.delete(key);
    this.#answers.set(key, kept);
  }

  #makeRoom(): void {
    const { answers, weight } = this.#limits;
    for (const key of this.#answers.keys()) {
      if (this.#answers.size <= answers && this.#weight <= weight) return;
      this.#delete(key);
    }
  }

  #delete(key: string): void {
    const kept = this.#answers.get(key);
    if (kept === undefined) return;
    this.#answers.delete(key);
    this.#weight -= kept.weight;
    const service = serviceOf(kept.name);
    const keys = this.#keysOf.get(service);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(service);
  }
}

/** The name of the service that an owner name belongs to: without the labels of its ports. */
export function serviceOf(owner: Name): Name {
  let name: string = owner;
  while (name.startsWith("_")) {
    const dot = name.indexOf(".");
    name = name.slice(dot + 1) || ".";
  }
  return name as Name;
}
