import type { Problem } from "../../shared/binding.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import { problemOf } from "../problem.ts";
import type { ContainerSummary, Engine } from "./engine.ts";
import { type ContainerFacts, factsFromInspect } from "./facts.ts";

/** Inspecting waits for the container's lock in the engine, so several at once; not all, lest a start with a thousand stall it. */
const parallel = 8;
/** A container that cannot be inspected can cost a call's whole time limit, so it is left alone for a while, longer each time. */
const retryMs = { first: 30_000, cap: 600_000 };

export interface EngineRead {
  containers: ContainerFacts[];
  problems: Problem[];
}

interface Known {
  fingerprint: string;
  facts: ContainerFacts | undefined;
  failed: { fault: Error; times: number; retryAt: number } | undefined;
}

/** What is known of one engine's containers, so that a pass inspects only those that can have changed. */
export class Inventory {
  readonly #engine: Engine;
  #known = new Map<string, Known>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Makes the next read inspect everything: after a gap in the event stream nothing known can be trusted. */
  forget(): void {
    this.#known = new Map();
  }

  /**
   * Lists, then inspects what is new, hinted, or whose list entry changed. Throws when the engine fails; a container that alone cannot
   * be read is a problem.
   */
  async read(hinted: ReadonlySet<string>, now: number): Promise<EngineRead> {
    const listed = await this.#engine.list();
    const due = listed.filter((summary) => this.#isDue(summary, hinted, now));
    const next = new Map<string, Known>();
    for (const { id } of listed) {
      const known = this.#known.get(id);
      if (known !== undefined) next.set(id, known);
    }
    for (let start = 0; start < due.length; start += parallel) {
      const batch = due.slice(start, start + parallel);
      const looks = await Promise.all(batch.map((summary) => this.#look(summary, now)));
      batch.forEach(({ id }, index) => {
        const known = looks[index];
        if (known === undefined) next.delete(id);
        else next.set(id, known);
      });
    }
    assertSomethingAnswered(due, next);
    this.#known = next;
    return {
      containers: [...next.values()].flatMap(({ facts }) => facts ?? []),
      problems: problemsOf(listed, next),
    };
  }

  #isDue({ id, fingerprint }: ContainerSummary, hinted: ReadonlySet<string>, now: number): boolean {
    const known = this.#known.get(id);
    if (known === undefined || known.fingerprint !== fingerprint || hinted.has(id)) return true;
    return known.failed !== undefined && now >= known.failed.retryAt;
  }

  /** Undefined when the container is gone by now. */
  async #look({ id, fingerprint }: ContainerSummary, now: number): Promise<Known | undefined> {
    const before = this.#known.get(id);
    try {
      const inspect = await this.#engine.inspect(id);
      if (inspect === undefined) return undefined;
      return { fingerprint, facts: factsFromInspect(inspect), failed: undefined };
    } catch (fault) {
      if (!(fault instanceof Error) || isEngineGone(fault)) throw fault;
      const times = (before?.failed?.times ?? 0) + 1;
      const retryAt = now + Math.min(retryMs.cap, retryMs.first * 2 ** (times - 1));
      // The list says ports, state and health too: while its entry is unchanged it vouches for the facts read earlier.
      const facts = before?.fingerprint === fingerprint ? before.facts : undefined;
      return { fingerprint, facts, failed: { fault, times, retryAt } };
    }
  }
}

function isEngineGone(fault: Error): boolean {
  return fault instanceof BerthError && fault.code === "engine-unreachable" && fault.facts.gone === true;
}

/** One container that hangs is that container's trouble; when none of several answers, it is the engine that hangs. */
function assertSomethingAnswered(due: readonly ContainerSummary[], next: ReadonlyMap<string, Known>): void {
  const faults = due.map(({ id }) => next.get(id)?.failed?.fault);
  const silent = faults.filter((fault) => fault instanceof BerthError && fault.code === "engine-unreachable");
  if (silent.length > 1 && silent.length === due.length) throw silent[0];
}

function problemsOf(listed: readonly ContainerSummary[], known: ReadonlyMap<string, Known>): Problem[] {
  return listed.flatMap(({ id, name }) => {
    const failed = known.get(id)?.failed;
    if (failed === undefined) return [];
    const message = `it cannot be inspected: ${describeFault(failed.fault)}; see docker inspect ${name}`;
    return [problemOf(name, "unreadable", message)];
  });
}
