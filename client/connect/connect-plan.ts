import { ephemeralStaleMs } from "../answers/lifetime.ts";
import type { Resolution } from "../answers/resolution.ts";
import { candidateKey } from "./dead-endpoints.ts";
import type { Candidate } from "./endpoint-order.ts";

export interface ConnectFailure {
  candidate: Candidate;
  /** As Node names it: ECONNREFUSED; ETIMEDOUT also when the time was over first. */
  errno: string;
}

export interface PlanLimits {
  /** Milliseconds for the candidates of one answer together. */
  connectMs: number;
  /**
   * Asked once the candidates at hand lead nowhere: milliseconds to wait for better answers, 0 for one fresh answer and no more,
   * undefined for a destination about which nobody can be asked again.
   */
  patience: () => number | undefined;
  /** Asked then as well: whether the very port was there a moment ago, so that a name with other ports only is waited for. */
  wasPublished: () => boolean;
}

export type PlanEnd =
  | { kind: "connect-failed"; failures: ConnectFailure[] }
  | Exclude<Resolution, { kind: "endpoints" }>;

/** What to do now. */
export interface Step {
  /** To be begun. */
  dial: Candidate | undefined;
  /** Under way, to be called off: an answer took them away, or their time is over, which `late` says. */
  drop: { candidate: Candidate; late: boolean }[];
  /** From now on fresh answers are wanted. */
  ask: boolean;
  /** When to look again, if nothing happens before. */
  wakeAt: number | undefined;
  /** Nothing more is to be done. */
  end: PlanEnd | undefined;
}

/** RFC 8305 §8, the recommended Connection Attempt Delay. */
export const attemptDelayMs = 250;
/** When nothing has connected for so long, the answer at hand is doubted, though much of it may not have been tried. */
const doubtMs = 1_000;
/** What was not refused but unreachable or silent costs more to try, and seldom mends within moments. */
const retryUnreachableMs = 1_000;

/**
 * What one connection does from its first answer to its end: candidates in their order at the pace of RFC 8305 §5; when they lead
 * nowhere, fresh answers for as long as the patience lasts. It is told what happened and says what to do; times are milliseconds of any
 * clock that only goes up. An attempt at what a newer answer no longer names is called off: by now it may be another program's port.
 */
export class ConnectPlan {
  readonly #limits: PlanLimits;
  /** Not yet tried. */
  #queue: readonly Candidate[];
  #nextDialAt = 0;
  readonly #doubtAt: number;
  readonly #pending = new Map<string, Candidate>();
  /** For the outcome: the last failure of each. */
  readonly #failures = new Map<string, ConnectFailure>();
  /** Which of those the answer at hand names failed, and when. */
  readonly #failedAt = new Map<string, number>();
  #known: readonly Candidate[];
  #answer: Resolution;
  /** When what failed is not tried again any more, unless a resolver answers before: its port may be another program's by then. */
  #retryUntil: number;
  /** When attempts under way are given up. */
  #until: number;
  #asking: "not yet" | "never" | "asked" | "answered" = "not yet";
  #patienceMs = 0;
  #wasPublished = false;
  /** Set once what the first answer gave has failed. */
  #patientUntil: number | undefined;
  #end: PlanEnd | undefined;

  constructor(limits: PlanLimits, first: Resolution, candidates: readonly Candidate[], now: number) {
    this.#limits = limits;
    this.#answer = first;
    const { staleUntil = now + ephemeralStaleMs } = first.kind === "endpoints" ? first : {};
    this.#retryUntil = staleUntil;
    this.#known = distinct(candidates);
    this.#queue = this.#known;
    this.#until = now + limits.connectMs;
    this.#doubtAt = now + doubtMs;
  }

  /** A fresh answer has come, with the candidates to take from it in their order. */
  answered(answer: Resolution, candidates: readonly Candidate[], now: number): Step["drop"] {
    this.#asking = "answered";
    // It says nothing of the name; what was known stays so.
    if (answer.kind === "no-answer") return [];
    if (answer.kind !== "endpoints" && !this.#mayPass(answer)) {
      this.#end = answer;
      return this.#dropPending(() => true, false);
    }
    if (answer.kind === "endpoints") this.#wasPublished = true;
    this.#answer = answer;
    this.#retryUntil = now + ephemeralStaleMs;
    this.#known = distinct(candidates);
    const named = new Set(this.#known.map(candidateKey));
    // One that went and comes again has been published anew.
    for (const key of this.#failedAt.keys()) if (!named.has(key)) this.#failedAt.delete(key);
    const dropped = this.#dropPending((key) => !named.has(key), false);
    const waiting = new Set(this.#queue.map(candidateKey));
    this.#queue = this.#known.filter((candidate) => {
      const key = candidateKey(candidate);
      return !this.#pending.has(key) && !this.#failedAt.has(key);
    });
    if (this.#queue.some((candidate) => !waiting.has(candidateKey(candidate)))) {
      this.#until = Math.max(this.#until, now + this.#limits.connectMs);
      this.#nextDialAt = now;
    }
    return dropped;
  }

  /** An attempt has failed; `errno` as Node names it. */
  failed(candidate: Candidate, errno: string, now: number): void {
    const key = candidateKey(candidate);
    this.#pending.delete(key);
    this.#failures.set(key, { candidate, errno });
    this.#failedAt.set(key, now);
    this.#nextDialAt = now;
  }

  /** Tries again what failed, where that makes sense by now and nothing else is under way. Says whether there is any. */
  retry(now: number): boolean {
    if (this.#patientUntil === undefined || this.#queue.length + this.#pending.size > 0) return false;
    if (now >= this.#retryUntil) return false;
    this.#queue = this.#known.filter((candidate) => {
      const key = candidateKey(candidate);
      const refused = this.#failures.get(key)?.errno === "ECONNREFUSED";
      return refused || now - (this.#failedAt.get(key) ?? now) >= retryUnreachableMs;
    });
    this.#nextDialAt = now;
    return this.#queue.length > 0;
  }

  /** To be called at the start, after each of the other calls, and at `wakeAt`; again as long as it says to dial. */
  next(now: number): Step {
    const drop = now < this.#until ? [] : this.#giveUpLate(now);
    const dial = this.#takeDue(now);
    const ask = this.#doubt(now);
    return { dial, drop, ask, wakeAt: this.#wakeAt(now), end: this.#ended(now) };
  }

  /** What there is to say when it ends now, such as because the client has gone. */
  outcome(): PlanEnd {
    if (this.#end !== undefined) return this.#end;
    if (this.#answer.kind === "endpoints" || this.#answer.kind === "not-allowed") {
      return { kind: "connect-failed", failures: [...this.#failures.values()] };
    }
    return this.#answer;
  }

  /** Whether it may be what there is to say in the middle of a restart. */
  #mayPass({ kind }: Resolution): boolean {
    return kind === "not-found" || (kind === "port-not-published" && this.#wasPublished);
  }

  #giveUpLate(now: number): Step["drop"] {
    this.#queue = [];
    for (const [key, candidate] of this.#pending) {
      this.#failures.set(key, { candidate, errno: "ETIMEDOUT" });
      this.#failedAt.set(key, now);
    }
    return this.#dropPending(() => true, true);
  }

  #dropPending(isGone: (key: string) => boolean, late: boolean): Step["drop"] {
    const gone = [...this.#pending].filter(([key]) => isGone(key));
    for (const [key] of gone) this.#pending.delete(key);
    return gone.map(([, candidate]) => ({ candidate, late }));
  }

  #takeDue(now: number): Candidate | undefined {
    const [candidate, ...rest] = this.#queue;
    if (candidate === undefined || (this.#pending.size > 0 && now < this.#nextDialAt)) return undefined;
    this.#queue = rest;
    this.#pending.set(candidateKey(candidate), candidate);
    this.#nextDialAt = now + attemptDelayMs;
    return candidate;
  }

  /** Whether the answer at hand is doubted from now on: all of it failed, or none of it has connected for a while. */
  #doubt(now: number): boolean {
    const idle = this.#queue.length + this.#pending.size === 0;
    const starts = this.#asking === "not yet" && (idle || now >= this.#doubtAt);
    if (starts) {
      const patienceMs = this.#limits.patience();
      this.#asking = patienceMs === undefined ? "never" : "asked";
      this.#patienceMs = patienceMs ?? 0;
      this.#wasPublished = this.#limits.wasPublished();
    }
    if (idle && this.#patientUntil === undefined) {
      this.#patientUntil = now + this.#patienceMs;
      this.#until = Math.max(this.#until, this.#patientUntil);
    }
    return starts && this.#asking === "asked";
  }

  #wakeAt(now: number): number | undefined {
    if (this.#queue.length + this.#pending.size === 0)
      return this.#patientUntil !== undefined && this.#patientUntil > now ? this.#patientUntil : undefined;
    const until = this.#asking === "not yet" ? Math.min(this.#doubtAt, this.#until) : this.#until;
    return this.#queue.length > 0 ? Math.min(this.#nextDialAt, until) : until;
  }

  #ended(now: number): PlanEnd | undefined {
    if (this.#end !== undefined) return this.#end;
    if (this.#queue.length + this.#pending.size > 0) return undefined;
    const asked = this.#asking === "never" || this.#asking === "answered";
    return asked && now >= (this.#patientUntil ?? now) ? this.outcome() : undefined;
  }
}

/** Two SRV RRs may lead to one address and port. */
function distinct(candidates: readonly Candidate[]): readonly Candidate[] {
  if (candidates.length < 2) return candidates;
  return [...new Map(candidates.map((candidate) => [candidateKey(candidate), candidate])).values()];
}
