import { setTimeout as pause } from "node:timers/promises";

import { BerthError, describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { EtcdGateway } from "./gateway.ts";
import type { Keys, Meta } from "./layout.ts";
import type { Mirror } from "./mirror.ts";
import { encode } from "./values.ts";
import type { Item, WatchEvent } from "./wire.ts";

export interface FollowerParts {
  gateway: EtcdGateway;
  keys: Keys;
  mirror: Mirror;
  /** Milliseconds since 1970: what the SOA's serial is first counted from. */
  wallClock: () => number;
  /** Never the same twice. */
  makeLife: () => string;
  log: Log;
  signal: AbortSignal;
}

const retryMs = 1000;

/** Keeps the mirror after etcd. */
export class Follower {
  readonly #parts: FollowerParts;
  /** Of the watch that runs; absent while everything is read anew. */
  #watching: AbortController | undefined;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
  }

  /** Reads all that etcd holds, as often as it takes. Rejects with what trying again does not mend, and when the signal aborts. */
  async readPatiently(): Promise<void> {
    const { log, signal } = this.#parts;
    for (let attempt = 1; ; attempt++) {
      try {
        signal.throwIfAborted();
        return await this.#readWhole();
      } catch (fault) {
        if (signal.aborted || !isWorthRetrying(fault)) throw fault;
        if (attempt === 1) log.warn(`waiting for etcd: ${describeFault(fault)}`);
        await this.#pause();
      }
    }
  }

  /**
   * Watches from where the mirror is until the signal aborts, and reads everything anew where the history has a gap (compacted, or restored
   * from a backup). Answers go on from what the mirror holds meanwhile.
   */
  async run(): Promise<void> {
    const { log, signal } = this.#parts;
    while (!signal.aborted) {
      try {
        await this.#watch();
      } catch (fault) {
        if (signal.aborted) return;
        const isGap = fault instanceof BerthError && fault.code === "etcd-compacted";
        log.warn(`${isGap ? "reading etcd anew" : "the watch of etcd ended"}: ${describeFault(fault)}`);
      }
      await this.#rereadUntilDone();
    }
  }

  /**
   * Has everything read anew unless `meta` is what the mirror knows. An etcd that was emptied and has come as far again since would else be
   * taken for the old one: its revisions do not tell. `hasGoneBack`: they do tell, of one restored from its own backup.
   */
  checkLife(meta: string | undefined, hasGoneBack: boolean): void {
    const { mirror, log } = this.#parts;
    if (this.#watching === undefined || (mirror.isOfLife(meta) && !hasGoneBack)) return;
    log.warn("etcd is another one than before, emptied or restored: reading it anew");
    this.#watching.abort();
  }

  async #watch(): Promise<void> {
    const { gateway, keys, mirror, signal } = this.#parts;
    this.#watching = new AbortController();
    const listener = {
      signal: AbortSignal.any([signal, this.#watching.signal]),
      onEvents: (revision: number, events: WatchEvent[]) => mirror.apply(events, revision),
      onProgress: (revision: number) => mirror.progress(revision),
    };
    try {
      await gateway.watch({ prefix: keys.prefix }, mirror.revision + 1, listener);
    } finally {
      this.#watching = undefined;
    }
  }

  async #rereadUntilDone(): Promise<void> {
    const { log, signal } = this.#parts;
    while (!signal.aborted) {
      try {
        return await this.#readWhole();
      } catch (fault) {
        if (signal.aborted) return;
        log.warn(`cannot read etcd: ${describeFault(fault)}`);
        await this.#pause();
      }
    }
  }

  async #readWhole(): Promise<void> {
    const { gateway, keys, mirror } = this.#parts;
    const { revision, items } = await gateway.range({ key: keys.meta });
    const meta = items[0];
    // One that was restored from its own backup begins a new life like one that was emptied.
    const isRestored = revision < mirror.revision && mirror.isOfLife(meta?.value);
    if (meta === undefined || isRestored) await this.#beginLife(revision, meta);
    for (;;) {
      const read = await this.#readItems();
      if (!mirror.wouldGoBack(read.items)) return mirror.replace(read.items, read.revision);
      // Begun by a resolver that had not come as far as this one, or restored from an earlier life.
      await this.#beginLife(
        read.revision,
        read.items.find(({ key }) => key === keys.meta),
      );
    }
  }

  async #readItems(): Promise<{ items: Item[]; revision: number }> {
    const { gateway, keys } = this.#parts;
    // Hosts' values are large and few, all others small and many; all as of one revision. For each page etcd counts all keys that follow.
    const hosts = await gateway.range({ prefix: keys.hosts }, { pageSize: 64 });
    const { revision } = hosts;
    const small = { pageSize: 10_000, revision };
    const before = await gateway.range({ from: keys.prefix, to: keys.hosts }, small);
    const after = await gateway.range({ from: `${keys.hosts}\x7f`, to: `${keys.prefix}\x7f` }, small);
    return { items: [...before.items, ...hosts.items, ...after.items], revision };
  }

  /**
   * The first resolver on an empty or restored etcd says what is counted from: so that nothing goes back for those who saw another one
   * here. `known` is the meta that stands there; when it is another one by now, somebody else was first.
   */
  async #beginLife(revision: number, known: Item | undefined): Promise<void> {
    const { gateway, keys, mirror, wallClock, makeLife } = this.#parts;
    const last = mirror.counters();
    const serial = Math.max(Math.floor(wallClock() / 1000), last.serial + 1);
    const revisionBase = last.revision === 0 ? 0 : Math.max(0, last.revision + 1 - revision);
    const meta: Meta = { life: makeLife(), serialBase: serial - revision, revisionBase };
    await gateway.txn({
      compare: [{ key: keys.meta, is: "equal", modRevision: known?.modRevision ?? 0 }],
      success: [
        { kind: "put", key: keys.meta, value: encode(meta) },
        // The bases are above what was shown from this revision on: so there is something of it to count.
        ...(last.serial === 0 ? [] : [{ kind: "put" as const, key: keys.mark, value: "" }]),
      ],
    });
  }

  async #pause(): Promise<void> {
    await pause(retryMs, undefined, { signal: this.#parts.signal }).catch(() => undefined);
  }
}

/** History that was compacted between two pages is read anew from its end. */
function isWorthRetrying(fault: unknown): boolean {
  return fault instanceof BerthError && (fault.retryable || fault.code === "etcd-compacted");
}
