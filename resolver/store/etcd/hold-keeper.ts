import type { Name } from "../../../shared/name.ts";
import type { Hold } from "../../records.ts";
import type { SettledHold } from "../../settle.ts";
import type { EtcdGateway } from "./gateway.ts";
import { batchSize, type Keys } from "./layout.ts";
import { encode } from "./values.ts";
import type { Compare, Operation } from "./wire.ts";

/** What the hold-keeper needs of the mirror. */
export interface HoldMirror {
  holdRevision(name: Name): number;
  hold(name: Name): Hold | undefined;
  /** Resolves when the mirror has come so far that this is true. */
  until(isTrue: () => boolean): Promise<void>;
  /** etcd's revision up to which the mirror shows everything. */
  revision(): number;
}

/** A push claims its names before it shows its bindings: a hold nobody serves yet is left alone for so long, in milliseconds. */
const standardClaimingMs = 15_000;
const maxRounds = 8;

/** What a name's hold is to be, if it is still the one that was there when that was judged. */
interface HoldChange {
  name: Name;
  hold: Hold | undefined;
  modRevision: number;
}

/**
 * Brings the holds in etcd to what follows from the claims. Every resolver tries; each change is made on condition that the hold is still
 * the one it was judged by, so one of them makes it and the others see it made.
 */
export class HoldKeeper {
  readonly #gateway: EtcdGateway;
  readonly #keys: Keys;
  readonly #mirror: HoldMirror;
  readonly #now: () => number;
  readonly #claimingMs: number;
  readonly #wanted = new Map<Name, Hold | undefined>();
  /** Names served since their hold came: when that ends, nothing has to be waited for. */
  readonly #served = new Set<Name>();
  /** Names held of late that nobody was seen to serve yet, and since when. */
  readonly #unserved = new Map<Name, number>();

  constructor(
    gateway: EtcdGateway,
    keys: Keys,
    mirror: HoldMirror,
    now: () => number,
    claimingMs = standardClaimingMs,
  ) {
    this.#claimingMs = claimingMs;
    this.#gateway = gateway;
    this.#keys = keys;
    this.#mirror = mirror;
    this.#now = now;
  }

  /** Told whenever a name was settled in the tables. */
  note({ name, held, wanted, isServed }: SettledHold): void {
    this.#noteService(name, held, isServed);
    if (sameHold(held, wanted)) this.#wanted.delete(name);
    else this.#wanted.set(name, wanted);
  }

  /** How many more names will be kept for a token once what is wanted is done. */
  soonKept(tokenId: string): number {
    let more = 0;
    for (const [name, wanted] of this.#wanted) {
      if (
        wanted?.until !== undefined &&
        wanted.tokenId === tokenId &&
        this.#mirror.hold(name)?.until === undefined
      )
        more++;
    }
    return more;
  }

  /** Makes every change that is due; what another resolver made first is left as that one made it. */
  async flush(): Promise<void> {
    for (let round = 0; round < maxRounds; round++) {
      const due = this.#due();
      if (due.length === 0) return;
      await this.#commitInBatches(due, round);
    }
  }

  /** Claims free names before the bindings are shown. What others claimed meanwhile is theirs. */
  async claim(holds: Hold[]): Promise<void> {
    for (let round = 0; round < maxRounds; round++) {
      const free = holds.filter(({ name }) => this.#mirror.hold(name) === undefined);
      if (free.length === 0) return;
      const changes = free.map((hold) => this.#change(hold.name, hold));
      await this.#commitInBatches(changes, round);
    }
  }

  /** Ends a hold, on an operator's word. False when it is another one by now. */
  free(name: Name): Promise<boolean> {
    return this.#commit([this.#change(name, undefined)]);
  }

  #noteService(name: Name, held: Hold | undefined, isServed: boolean): void {
    if (held === undefined) this.#served.delete(name);
    else if (isServed) this.#served.add(name);
    const isClaimed = held !== undefined && held.until === undefined && !this.#served.has(name);
    if (!isClaimed) this.#unserved.delete(name);
    else if (!this.#unserved.has(name)) this.#unserved.set(name, this.#now());
  }

  #due(): HoldChange[] {
    const young = this.#now() - this.#claimingMs;
    const due = [...this.#wanted].filter(
      ([name]) => (this.#unserved.get(name) ?? Number.NEGATIVE_INFINITY) <= young,
    );
    return due.map(([name, wanted]) => this.#change(name, wanted));
  }

  #change(name: Name, hold: Hold | undefined): HoldChange {
    return { name, hold, modRevision: this.#mirror.holdRevision(name) };
  }

  async #commitInBatches(changes: HoldChange[], round: number): Promise<void> {
    // All of a batch or none: where others are at it too, smaller ones get through.
    const size = Math.max(1, Math.floor(batchSize / 4 ** round));
    for (let from = 0; from < changes.length; from += size)
      await this.#commit(changes.slice(from, from + size));
  }

  /** All of it or nothing; in the mirror on return, or what was in its way. */
  async #commit(changes: HoldChange[]): Promise<boolean> {
    const compare = changes.map(({ name, modRevision }): Compare => {
      return { key: this.#keys.hold(name), is: "equal", modRevision };
    });
    const success = changes.map(({ name, hold }): Operation => {
      const key = this.#keys.hold(name);
      return hold === undefined
        ? { kind: "delete", keys: { key } }
        : { kind: "put", key, value: encode(hold) };
    });
    const { succeeded, revision } = await this.#gateway.txn({ compare, success });
    if (succeeded) await this.#mirror.until(() => this.#mirror.revision() >= revision);
    // One of them at least is another one by now, as the mirror soon shows.
    else
      await this.#mirror.until(() =>
        changes.some(({ name, modRevision }) => this.#mirror.holdRevision(name) !== modRevision),
      );
    return succeeded;
  }
}

function sameHold(a: Hold | undefined, b: Hold | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const facts = ({ owner, hostId, hostLabel, tokenId, since, until }: Hold) =>
    JSON.stringify([owner, hostId, hostLabel, tokenId, since, until]);
  return facts(a) === facts(b);
}
