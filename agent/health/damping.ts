import type { Problem } from "../../shared/binding.ts";
import { worse } from "../declare/health.ts";
import type { CheckState, PlacedContainer } from "../declare/input.ts";
import { problemOf } from "../problem.ts";

/** The worst that our own checks of a container say; undefined when it has none, or none that was begun. */
export type CheckedHealth = (placed: PlacedContainer) => CheckState | undefined;

type Health = ReturnType<typeof worse>;

export interface DampingOutcome {
  /** Ids of the containers seen that come and go, or change their health, too often. */
  flapping: ReadonlySet<string>;
  problems: Problem[];
  /** When the first of them will have been steady for long enough, by the same clock as `now`; Infinity when none flaps. */
  nextAt: number;
}

/** One container name on one engine, through all its runs. */
interface History {
  instance: string;
  /** Of HEALTHCHECK and own checks the worse, as it is declared. */
  health: Health;
  penalty: number;
  /** When `penalty` was worth that much. */
  at: number;
  isFlapping: boolean;
  seenAt: number;
}

const halfLifeMs = 60_000;
const flapsFrom = 5;
const steadyBelow = 2;
/** Three half-lives above steady: however wild it was, three quiet minutes mend it. */
const mostPenalty = 16;
/** A container between two runs is not seen; one gone this long comes back as a new one. */
const forgetAfterMs = 600_000;
const mostGone = 4_096;

/**
 * Tells which containers restart or change their health too often to be relied on. Every new run and every change of health adds 1 to a
 * penalty that halves each minute: from 5 on a container flaps, below 2 it does not any more. Health is that of the HEALTHCHECK,
 * unless it is to be ignored, and of our own checks, the worse one: an outage that both find is one change. The end of `starting`, or of not
 * being known, is not counted: it belongs to the beginning of the run, or of a check.
 */
export class Damping {
  /** In the order they were last seen. */
  readonly #histories = new Map<string, History>();

  /** `containers`: all that there are at `now`, in milliseconds that never go back. */
  see(
    containers: readonly PlacedContainer[],
    now: number,
    checkedHealth: CheckedHealth = () => undefined,
  ): DampingOutcome {
    const outcome = {
      flapping: new Set<string>(),
      problems: [] as Problem[],
      nextAt: Number.POSITIVE_INFINITY,
    };
    let seen = 0;
    for (const placed of containers) {
      if (!placed.container.running) continue;
      seen += 1;
      const history = this.#historyAfter(placed, healthOf(placed, checkedHealth(placed)), now);
      if (!history.isFlapping) continue;
      outcome.flapping.add(placed.container.id);
      outcome.problems.push(problemFor(placed));
      outcome.nextAt = Math.min(outcome.nextAt, steadyAt(history));
    }
    this.#forget(seen, now);
    return outcome;
  }

  #historyAfter({ container, engine }: PlacedContainer, health: Health, now: number): History {
    const key = `${engine}\n${container.name}`;
    const last = this.#histories.get(key);
    const instance = `${container.id}@${container.startedAt}`;
    const isNews = last !== undefined && isCounted(last, instance, health);
    const penalty = Math.min(mostPenalty, penaltyAt(last, now) + (isNews ? 1 : 0));
    const isFlapping = penalty >= flapsFrom || (last?.isFlapping === true && penalty >= steadyBelow);
    const history = { instance, health, penalty, at: now, isFlapping, seenAt: now };
    this.#histories.delete(key);
    this.#histories.set(key, history);
    return history;
  }

  /** Those seen just now are the last in the map. */
  #forget(seen: number, now: number): void {
    for (const [key, { seenAt }] of this.#histories) {
      const gone = this.#histories.size - seen;
      if (gone <= mostGone && now - seenAt < forgetAfterMs) return;
      this.#histories.delete(key);
    }
  }
}

/** Read here and not by declare, which has yet to be told who flaps. */
function healthOf({ container }: PlacedContainer, checked: CheckState | undefined): Health {
  const isIgnored = container.labels["berth.health"]?.trim().toLowerCase() === "ignore";
  return worse(isIgnored ? "none" : container.health, checked ?? "none");
}

function isCounted(last: History, instance: string, health: Health): boolean {
  return last.instance !== instance || (last.health !== health && isKnown(last.health) && isKnown(health));
}

function isKnown(health: Health): boolean {
  return health === "healthy" || health === "unhealthy";
}

function penaltyAt(history: History | undefined, now: number): number {
  return history === undefined ? 0 : history.penalty * 2 ** ((history.at - now) / halfLifeMs);
}

/** A millisecond more than computed: rounding must not bring the pass that looks for the end just before it. */
function steadyAt({ at, penalty }: History): number {
  return at + halfLifeMs * Math.log2(penalty / steadyBelow) + 1;
}

/** The words must not change from pass to pass: a problem is part of what is pushed. */
function problemFor({ container, engine }: PlacedContainer): Problem {
  const place = engine === "" ? "" : ` (on ${engine})`;
  const message = `it restarts or changes its health too often${place}, so it is used only while no other instance serves; it counts again when it has been steady for a few minutes`;
  return problemOf(container.name, "flapping", message);
}
