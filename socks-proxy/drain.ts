import { setTimeout as sleep } from "node:timers/promises";

/** One connection that is to end before the proxy does. */
export interface Drainable {
  /** Bytes so far, in both directions; what tells a busy connection from a quiet one. */
  bytesMoved(): number;
  /** It moves no bytes, but somebody waits for it all the same: its endpoint is being connected to. */
  readonly isWaiting: boolean;
  /** Ends it as if both sides had, without a reset, unless it cannot yet; may be called again. */
  end(): void;
  /** Breaks it off in the middle of what it does, so that nobody takes a part for the whole. */
  destroy(): void;
}

/** Without a byte for so long a connection is quiet. */
const quietMs = 1_000;
const lookMs = 100;

/**
 * Ends connections so that little is lost: those that are quiet at once, the others when they become so, and all of them when
 * `timeoutMs` milliseconds are over. Resolves when `open` is empty; what ends takes itself out.
 */
export async function drain(open: ReadonlySet<Drainable>, timeoutMs: number): Promise<void> {
  const looks = Math.ceil(quietMs / lookMs);
  const seen = new Map<Drainable, { bytes: number; stillFor: number }>();
  for (let passed = 0; passed < timeoutMs && open.size > 0; passed += lookMs) {
    await sleep(Math.min(lookMs, timeoutMs - passed));
    for (const connection of open) {
      const bytes = connection.bytesMoved();
      const last = seen.get(connection);
      const isStill = last?.bytes === bytes && !connection.isWaiting;
      const stillFor = isStill ? last.stillFor + 1 : 0;
      seen.set(connection, { bytes, stillFor });
      // Again each quiet second: one that owed bytes to a slow reader did not end at the first call.
      if (stillFor > 0 && stillFor % looks === 0) connection.end();
    }
  }
  for (const connection of open) connection.destroy();
}
