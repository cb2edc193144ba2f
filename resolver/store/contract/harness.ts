import type { BindingStore } from "../../store.ts";

/** A fresh store for one test, empty, for the zone berth.internal with standard settings. */
export interface StoreHarness {
  store: BindingStore;
  /** Moves the store's clock forward and runs what is due by then. */
  advance(ms: number): Promise<void>;
  /** The store as a new process or object finds it in the same storage; undefined where nothing survives (say why to describeStore). */
  restart: (() => Promise<BindingStore>) | undefined;
}

export type MakeStore = () => Promise<StoreHarness>;
