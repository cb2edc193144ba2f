import type { Problem } from "../../shared/binding.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import { problemOf } from "../problem.ts";
import type { ContainerReader } from "./container-reader.ts";
import type { ContainerSummary, Engine } from "./engine.ts";
import { type ContainerFacts, lasts } from "./facts.ts";

/** Inspecting waits for the container's lock in the engine, so several at once; not all, lest a start with a thousand stall it. */
const parallel = 8;
/** A container that cannot be inspected can cost a call's whole time limit, so it is left alone for a while, longer each time. */
const retryMs = { first: 30_000, cap: 600_000 };

interface Known {
  /** The list entry its facts were read after; undefined when no list can vouch for them. */
  fingerprint: string | undefined;
  facts: ContainerFacts | undefined;
  failed: Failure | undefined;
  /** Which question its facts answer: a later question's answer is never replaced by an earlier one's. */
  asked: number;
}

interface Failure {
  name: string;
  fault: Error;
  times: number;
  retryAt: number;
}

/** Which containers a read inspects besides those that are new or changed in the list. */
export interface ReadOrder {
  hinted: ReadonlySet<string>;
  /** Everything. */
  all: boolean;
  /** Those with a healthcheck: some engines' lists do not say health. */
  health: boolean;
  /** Those in the host's or another container's network: nothing in their list entry tells one run from the next. */
  guests?: boolean;
}

/** What is known of one engine's containers, so that a pass inspects only those that can have changed. */
export class Inventory {
  readonly #engine: Engine;
  readonly #reader: ContainerReader;
  readonly #known = new Map<string, Known>();
  #asked = 0;

  constructor(engine: Engine, reader: ContainerReader) {
    this.#engine = engine;
    this.#reader = reader;
  }

  /** Makes the next read inspect everything, and vouch for nothing else: after a gap in the event stream nothing known can be trusted. */
  forget(): void {
    for (const known of this.#known.values()) {
      known.fingerprint = undefined;
      known.failed = undefined;
    }
  }

  get ids(): ReadonlySet<string> {
    return new Set(this.#known.keys());
  }

  factsOf(id: string): ContainerFacts | undefined {
    return this.#known.get(id)?.facts;
  }

  /**
   * What has not ended, and what else the last list has (between two restarts). The same container's facts are the same object until they
   * change.
   */
  get containers(): ContainerFacts[] {
    const shown = [...this.#known.values()].filter(
      ({ facts, fingerprint }) => (facts !== undefined && lasts(facts)) || fingerprint !== undefined,
    );
    return shown.flatMap(({ facts }) => facts ?? []);
  }

  get problems(): Problem[] {
    return [...this.#known.values()].flatMap(({ failed }) =>
      failed === undefined ? [] : [problemFrom(failed)],
    );
  }

  /**
   * Lists, then inspects what is new, ordered, or whose list entry changed. Throws when the engine fails; a container that alone cannot
   * be read is a problem.
   */
  async read(order: ReadOrder, now: number): Promise<void> {
    const began = ++this.#asked;
    const listed = await this.#engine.list();
    const ids = new Set(listed.map(({ id }) => id));
    // What was asked about since then is newer than the list.
    const unlisted = [...this.#known].filter(([id, { asked }]) => !ids.has(id) && asked < began);
    await this.#settleUnlisted(unlisted);
    const due = listed.filter((summary) => this.#isDue(summary, order, now));
    const failures = new Map<ContainerSummary, Error>();
    for (let start = 0; start < due.length; start += parallel) {
      const batch = due.slice(start, start + parallel);
      await Promise.all(batch.map((summary) => this.#inspect(summary, failures)));
    }
    assertSomethingAnswered(due.length, [...failures.values()]);
    for (const [summary, fault] of failures) this.#takeFailure(summary, fault, now);
  }

  /**
   * Inspects one container without a list, and keeps what it finds until the next one. True when that changes what may be said. Throws
   * what the engine throws, and then nothing has changed.
   */
  async look(id: string): Promise<boolean> {
    const asked = ++this.#asked;
    const facts = await this.#reader.read(id);
    const before = this.#known.get(id);
    if (before !== undefined && before.asked > asked) return false;
    const lasted = before?.facts !== undefined && lasts(before.facts);
    if (facts === undefined) return this.#known.delete(id) && lasted;
    const kept = unlessEqual(before?.facts, facts);
    // Equal facts leave the list's word valid. Others can be a passing state whose end no event tells: the next list must look again.
    const fingerprint = kept === before?.facts ? before.fingerprint : undefined;
    this.#known.set(id, { fingerprint, facts: kept, failed: undefined, asked });
    return kept !== before?.facts && (lasts(kept) || lasted);
  }

  #isDue({ id, fingerprint }: ContainerSummary, order: ReadOrder, now: number): boolean {
    const { hinted, all, health, guests = false } = order;
    const known = this.#known.get(id);
    if (known === undefined || known.fingerprint !== fingerprint || all || hinted.has(id)) return true;
    if (guests && /^(host$|container:)/.test(known.facts?.networkMode ?? "")) return true;
    if (health && known.failed === undefined && known.facts?.health !== "none") return true;
    return known.failed !== undefined && now >= known.failed.retryAt;
  }

  /** Podman lists no container that it is stopping, and such a one has its connections still. Forgets the others. */
  async #settleUnlisted(unlisted: readonly [id: string, known: Known][]): Promise<void> {
    const { isPodman } = this.#reader;
    const isUnsure = ({ facts }: Known): boolean => isPodman && facts !== undefined && lasts(facts);
    for (const [id, known] of unlisted) if (!isUnsure(known)) this.#known.delete(id);
    const unsure = unlisted.filter(([, known]) => isUnsure(known));
    for (let start = 0; start < unsure.length; start += parallel) {
      const batch = unsure.slice(start, start + parallel);
      await Promise.all(batch.map(([id]) => this.#settle(id)));
    }
  }

  async #settle(id: string): Promise<void> {
    const known = this.#known.get(id);
    try {
      await this.look(id);
    } catch (fault) {
      if (!(fault instanceof Error) || isEngineGone(fault)) throw fault;
      // The list's word stands.
      if (this.#known.get(id) === known) this.#known.delete(id);
      return;
    }
    const facts = this.#known.get(id)?.facts;
    if (facts === undefined || !lasts(facts)) this.#known.delete(id);
  }

  async #inspect(summary: ContainerSummary, failures: Map<ContainerSummary, Error>): Promise<void> {
    const { id, fingerprint } = summary;
    const asked = ++this.#asked;
    try {
      const facts = await this.#reader.read(id);
      const before = this.#known.get(id);
      if (before !== undefined && before.asked > asked) return;
      if (facts === undefined) this.#known.delete(id);
      else
        this.#known.set(id, {
          fingerprint,
          facts: unlessEqual(before?.facts, facts),
          failed: undefined,
          asked,
        });
    } catch (fault) {
      if (!(fault instanceof Error) || isEngineGone(fault)) throw fault;
      failures.set(summary, fault);
    }
  }

  #takeFailure({ id, name, fingerprint }: ContainerSummary, fault: Error, now: number): void {
    const before = this.#known.get(id);
    const times = (before?.failed?.times ?? 0) + 1;
    const retryAt = now + Math.min(retryMs.cap, retryMs.first * 2 ** (times - 1));
    // The list says ports, state and health too: while its entry is unchanged it vouches for the facts read earlier.
    const facts = before?.fingerprint === fingerprint ? before.facts : undefined;
    const failed = { name, fault, times, retryAt };
    this.#known.set(id, { fingerprint, facts, failed, asked: before?.asked ?? this.#asked });
  }
}

/** The earlier object when both say the same, so that whoever works from it can tell that nothing changed. */
function unlessEqual(before: ContainerFacts | undefined, facts: ContainerFacts): ContainerFacts {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(facts) ? before : facts;
}

function isEngineGone(fault: Error): boolean {
  return fault instanceof BerthError && fault.code === "engine-unreachable" && fault.facts.gone === true;
}

/** One container that hangs is that container's trouble; when none of several answers, it is the engine that hangs. */
function assertSomethingAnswered(asked: number, faults: readonly Error[]): void {
  const silent = faults.filter((fault) => fault instanceof BerthError && fault.code === "engine-unreachable");
  if (silent.length > 1 && silent.length === asked) throw silent[0];
}

function problemFrom({ name, fault }: Failure): Problem {
  const message = `it cannot be inspected: ${describeFault(fault)}; see docker inspect ${name}`;
  return problemOf(name, "unreadable", message);
}
