import type { BindingStore } from "../../store.ts";

/** A fresh store for one test, empty, for the zone berth.internal with standard settings. */
export interface StoreHarness {
  store: BindingStore;
  /** Moves the store's clock forward, by seconds or by weeks, and runs what is due by then: nobody renews meanwhile. */
  advance(ms: number): Promise<void>;
  /** The store as a new process or object finds it in the same storage; undefined where nothing survives (say why to describeStore). */
  restart: (() => Promise<BindingStore>) | undefined;
}

export type MakeStore = () => Promise<StoreHarness>;

/** Cases a store is spared, each with the reason: where it runs decides them, not the registry. */
export interface Spared {
  /** Why nothing is there after a restart. */
  restart?: string;
  /** Why a start neither forgets turns, to begin another life, nor grants fresh leases. */
  freshStart?: string;
  /** Why the serial does not follow the clock. */
  serial?: string;
  /** Why hosts whose lease ran out long ago get one more. */
  lateLapse?: string;
}
