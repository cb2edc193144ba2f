import type { Name } from "../../../shared/name.ts";
import type { Hold } from "../../records.ts";
import type { SettledHold } from "../../settle.ts";
import type { EtcdGateway } from "./gateway.ts";
import { batchSize, encode, type Keys } from "./layout.ts";
import type { Compare, Operation } from "./wire.ts";

/** What the hold-keeper needs of the mirror. */
export interface HoldMirror {
  holdRevision(name: Name): number;
  hold(name: Name): Hold | undefined;
  /** Resolves when the mirror has come so far that this is true. */
  until(isTrue: () => boolean): Promise<void>;
  readonly revision: number;
}

/** A push claims its names before it shows its bindings: a hold nobody serves yet is left alone for so long, in milliseconds. */
const claimingMs = 15_000;
const maxRounds = 8;

/**
 * Brings the holds in etcd to what follows from the claims. Every resolver tries; each change is made on condition that the hold is still
 * the one it was judged by, so one of them makes it and the others see it made.
 */
export class HoldKeeper {
  readonly #gateway: EtcdGateway;
  readonly #keys: Keys;
  readonly #mirror: HoldMirror;
  readonly #now: () => number;
  readonly #wanted = new Map<Name, Hold | undefined>();
  /** Names served since their hold came: when that ends, nothing has to be waited for. */
  readonly #served = new Set<Name>();
  /** Names held of late that nobody was seen to serve yet, and since when. */
  readonly #unserved = new Map<Name, number>();

  constructor(gateway: EtcdGateway, keys: Keys, mirror: HoldMirror, now: () => number) {
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
      // All of a batch or none: where others are at it too, smaller ones get through.
      const size = Math.max(1, Math.floor(batchSize / 4 ** round));
      for (let from = 0; from < due.length; from += size) await this.#commit(due.slice(from, from + size));
    }
  }

  /** Claims free names before the bindings are shown. What others claimed meanwhile is theirs. */
  async claim(holds: Hold[]): Promise<void> {
    let open = holds;
    for (let round = 0; round < maxRounds && open.length > 0; round++) {
      const size = Math.max(1, Math.floor(batchSize / 4 ** round));
      for (let from = 0; from < open.length; from += size) {
        await this.#commit(open.slice(from, from + size).map((hold) => [hold.name, hold]));
      }
      open = open.filter(({ name }) => this.#mirror.hold(name) === undefined);
    }
  }

  /** Ends a hold, on an operator's word. */
  async free(name: Name): Promise<void> {
    await this.#commit([[name, undefined]]);
  }

  #noteService(name: Name, held: Hold | undefined, isServed: boolean): void {
    if (held === undefined) this.#served.delete(name);
    else if (isServed) this.#served.add(name);
    const isClaimed = held !== undefined && held.until === undefined && !this.#served.has(name);
    if (!isClaimed) this.#unserved.delete(name);
    else if (!this.#unserved.has(name)) this.#unserved.set(name, this.#now());
  }

  #due(): [Name, Hold | undefined][] {
    const young = this.#now() - claimingMs;
    return [...this.#wanted].filter(
      ([name]) => (this.#unserved.get(name) ?? Number.NEGATIVE_INFINITY) <= young,
    );
  }

  async #commit(changes: [Name, Hold | undefined][]): Promise<void> {
    const compare = changes.map(([name]): Compare => {
      return { key: this.#keys.hold(name), is: "equal", modRevision: this.#mirror.holdRevision(name) };
    });
    const success = changes.map(([name, hold]): Operation => {
      const key = this.#keys.hold(name);
      return hold === undefined
        ? { kind: "delete", keys: { key } }
        : { kind: "put", key, value: encode(hold) };
    });
    const failure = changes.map(
      ([name]): Operation => ({ kind: "get", keys: { key: this.#keys.hold(name) } }),
    );
    const { succeeded, revision, replies } = await this.#gateway.txn({ compare, success, failure });
    if (succeeded) return this.#mirror.until(() => this.#mirror.revision >= revision);
    // Not up to the reply's revision: what happened last may be none of ours, and then nobody tells us of it.
    const found = replies.map((reply) => (reply.kind === "get" ? (reply.items[0]?.modRevision ?? 0) : 0));
    const newest = Math.max(...found);
    const absent = changes.filter((_, index) => found[index] === 0).map(([name]) => name);
    const isSeen = () => {
      const at = this.#mirror.revision;
      return at >= newest && (at > revision || absent.every((name) => this.#mirror.holdRevision(name) === 0));
    };
    await this.#mirror.until(isSeen);
  }
}

export function sameHold(a: Hold | undefined, b: Hold | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const facts = ({ owner, hostId, hostLabel, tokenId, since, until }: Hold) =>
    JSON.stringify([owner, hostId, hostLabel, tokenId, since, until]);
  return facts(a) === facts(b);
}
