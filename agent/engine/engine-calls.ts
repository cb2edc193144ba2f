import type { Readable } from "node:stream";

import { BerthError } from "../../shared/errors.ts";
import type { EngineAnswer } from "./engine-answer.ts";
import { engineFault, silentEngine, statusOf } from "./engine-faults.ts";
import type { EngineTarget } from "./target.ts";

/** One GET to an engine: its answer, of whatever status, as it comes. Rejects with whatever went wrong; `signal` ends it. */
export type EngineGet = (
  path: string,
  query: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
) => Promise<Readable & EngineAnswer>;

/** The calls to one engine that are under way: each with a time limit, all ended by `close`. Throws BerthErrors only. */
export class EngineCalls {
  readonly #target: EngineTarget;
  readonly #limitMs: number;
  readonly #underWay = new Set<(fault: BerthError) => void>();

  constructor(target: EngineTarget, limitMs: number) {
    this.#target = target;
    this.#limitMs = limitMs;
  }

  /** Undefined when the engine answers with one of the statuses in `absent`. */
  async run<T>(
    ask: (signal: AbortSignal) => Promise<T>,
    absent: readonly number[] = [],
  ): Promise<T | undefined> {
    const limit = new AbortController();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const end = (fault: BerthError): void => {
      reject(fault);
      limit.abort(fault);
    };
    this.#underWay.add(end);
    const timer = setTimeout(() => end(silentEngine(this.#target, this.#limitMs)), this.#limitMs);
    try {
      // Raced, so that no call outlives its limit, whatever ends it.
      return await Promise.race([ask(limit.signal), ended]);
    } catch (cause) {
      if (absent.includes(statusOf(cause) ?? 0)) return undefined;
      throw engineFault(this.#target, cause);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(end);
    }
  }

  close(): void {
    const who = this.#target.where;
    for (const end of this.#underWay)
      end(new BerthError("engine-unreachable", "the agent is closing", { who }));
  }
}
