import { connect, type Socket } from "node:net";
import type { Resolution } from "../answers/resolution.ts";
import { attemptDelayMs, type ConnectPlan, type PlanEnd } from "./connect-plan.ts";
import type { Candidate } from "./endpoint-order.ts";
import { noticeVanishing } from "./keep-alive.ts";

export type AttemptsOutcome = { kind: "connected"; upstream: Socket; candidate: Candidate } | PlanEnd;

/** What the attempts of one connection need of their surroundings. */
export interface AttemptsPorts {
  now: () => number;
  dial: (candidate: Candidate) => Socket;
  /** Ends every attempt. */
  signal: AbortSignal;
  /** From now on fresh answers are wanted, to be given to `answered`; the function returned ends that. */
  watch: (attempts: Attempts) => () => void;
  /** What a candidate turned out to be, for others to know. */
  failed: (candidate: Candidate) => void;
}

interface Attempt {
  candidate: Candidate;
  startedAt: number;
}

/** Faults of this machine, which say nothing about the endpoint. */
const ownFaults = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"]);

/**
 * Carries out a plan with sockets and one timer. When `ended` resolves, every socket but the one that won is destroyed and nothing is left
 * behind. That one keeps a listener for errors, because a fault nobody listens for would end the process.
 */
export class Attempts {
  readonly ended: Promise<AttemptsOutcome>;
  readonly #plan: ConnectPlan;
  readonly #ports: AttemptsPorts;
  readonly #end: (outcome: AttemptsOutcome) => void;
  readonly #pending = new Map<Socket, Attempt>();
  readonly #giveUp = () => this.#finish(this.#plan.outcome());
  #timer: NodeJS.Timeout | undefined;
  #unwatch: (() => void) | undefined;
  #isOver = false;

  constructor(plan: ConnectPlan, ports: AttemptsPorts) {
    this.#plan = plan;
    this.#ports = ports;
    const { promise, resolve } = Promise.withResolvers<AttemptsOutcome>();
    this.ended = promise;
    this.#end = resolve;
    ports.signal.addEventListener("abort", this.#giveUp);
    this.#proceed();
  }

  /** A fresh answer, with the candidates to take from it. */
  answered(resolution: Resolution, candidates: readonly Candidate[]): void {
    if (this.#isOver) return;
    this.#drop(
      this.#plan.answered(resolution, candidates, this.#ports.now()).map(({ candidate }) => candidate),
    );
    this.#proceed();
  }

  /** Tries again what failed, if there is anything and nothing else is under way. */
  retry(): boolean {
    if (this.#isOver || !this.#plan.retry(this.#ports.now())) return false;
    this.#proceed();
    return true;
  }

  #proceed(): void {
    for (;;) {
      const { dial, drop, ask, wakeAt, end } = this.#plan.next(this.#ports.now());
      for (const { candidate, late } of drop) if (late) this.#ports.failed(candidate);
      this.#drop(drop.map(({ candidate }) => candidate));
      if (ask) this.#unwatch = this.#ports.watch(this);
      if (dial !== undefined) {
        this.#dial(dial);
        continue;
      }
      if (end === undefined) this.#wake(wakeAt);
      else this.#finish(end);
      return;
    }
  }

  #wake(at: number | undefined): void {
    clearTimeout(this.#timer);
    if (at === undefined) return;
    this.#timer = setTimeout(() => this.#proceed(), Math.max(1, Math.ceil(at - this.#ports.now())));
  }

  #dial(candidate: Candidate): void {
    const upstream = this.#ports.dial(candidate);
    this.#pending.set(upstream, { candidate, startedAt: this.#ports.now() });
    upstream.once("connect", () => this.#connected(upstream));
    upstream.on("error", (fault: NodeJS.ErrnoException) => this.#failed(upstream, fault));
  }

  #connected(upstream: Socket): void {
    const won = this.#pending.get(upstream);
    if (won === undefined) return;
    this.#pending.delete(upstream);
    for (const { candidate, startedAt } of this.#pending.values()) {
      // A later one was faster. Otherwise it may be far away, and all of them are.
      if (won.startedAt - startedAt >= attemptDelayMs / 2) this.#ports.failed(candidate);
    }
    this.#finish({ kind: "connected", upstream, candidate: won.candidate });
  }

  #failed(upstream: Socket, fault: NodeJS.ErrnoException): void {
    const attempt = this.#pending.get(upstream);
    // Not there: it won, or was called off.
    if (attempt === undefined) return;
    this.#pending.delete(upstream);
    const errno = fault.code ?? fault.message;
    if (!ownFaults.has(errno)) this.#ports.failed(attempt.candidate);
    this.#plan.failed(attempt.candidate, errno, this.#ports.now());
    this.#proceed();
  }

  #drop(candidates: readonly Candidate[]): void {
    if (candidates.length === 0) return;
    for (const [socket, { candidate }] of this.#pending) {
      if (!candidates.includes(candidate)) continue;
      this.#pending.delete(socket);
      socket.destroy();
    }
  }

  #finish(outcome: AttemptsOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#ports.signal.removeEventListener("abort", this.#giveUp);
    const losers = [...this.#pending.keys()];
    this.#pending.clear();
    for (const socket of losers) socket.destroy();
    this.#unwatch?.();
    this.#end(outcome);
  }
}

/** One attempt, at once: the socket emits `connect` or `error`. Half-close is allowed, and an endpoint that vanishes is noticed. */
export function dialCandidate({ address, port }: Candidate): Socket {
  const options = { host: address, port, allowHalfOpen: true, noDelay: true, autoSelectFamily: false };
  const socket = connect(options);
  noticeVanishing(socket, address);
  return socket;
}
