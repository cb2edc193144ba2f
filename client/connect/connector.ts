import type { Socket } from "node:net";

import { BerthError } from "../../shared/errors.ts";
import { type Name, parseName } from "../../shared/name.ts";
import type { Destination } from "../answers/destination.ts";
import type { Resolution } from "../answers/resolution.ts";
import type { ServicePort, StubResolver } from "../stub-resolver.ts";
import { Attempts, dialCandidate } from "./connect-attempts.ts";
import { type ConnectFailure, ConnectPlan } from "./connect-plan.ts";
import { ConnectWatches } from "./connect-watch.ts";
import { DeadEndpoints } from "./dead-endpoints.ts";
import { type Candidate, candidatesOf } from "./endpoint-order.ts";

/** Connects to destinations so that restarts go unnoticed: every endpoint, one fresh resolution past every cache, then patience. */
export interface Connector {
  connect(destination: Destination, options: ConnectOptions): Promise<ConnectOutcome>;
}

export interface ConnectOptions {
  /** Ends every attempt, such as when the client has gone. */
  signal: AbortSignal;
  /** May take endpoints away, or turn the resolution into a refusal; asked after each resolution, fresh ones as well. */
  judge?: (resolution: Resolution, destination: Destination) => Resolution;
  /** Makes the connection to one candidate; half-close allowed, no delay, unless said otherwise. It must connect at once and emit `connect` or `error`. */
  dial?: (candidate: Candidate) => Socket;
}

export type ConnectOutcome =
  | { kind: "connected"; upstream: Socket; candidate: Candidate }
  | { kind: "connect-failed"; failures: ConnectFailure[] }
  | Exclude<Resolution, { kind: "endpoints" }>;

/** Milliseconds. */
export interface ConnectorLimits {
  /** All endpoints of one answer together. */
  connectMs: number;
  /** One resolution. */
  resolveMs: number;
  /** How long a name that was there a moment ago is waited for; 0 for not at all. */
  patienceMs: number;
}

export interface ConnectorPorts {
  /** Milliseconds that only ever go up. */
  now: () => number;
  /** From 0 up to, not including, 1. */
  random: () => number;
}

/** A name that was there so recently may be a container that is being restarted. */
const recentMs = 60_000;

/** One for a process, for any number of connections at once: they share what they learn of endpoints that fail, and the asking. */
export function createConnector(
  stub: StubResolver,
  limits: ConnectorLimits,
  ports: ConnectorPorts,
): Connector {
  return new PatientConnector(stub, limits, ports);
}

class PatientConnector implements Connector {
  readonly #stub: StubResolver;
  readonly #limits: ConnectorLimits;
  readonly #ports: ConnectorPorts;
  readonly #dead = new DeadEndpoints();
  readonly #watches: ConnectWatches;

  constructor(stub: StubResolver, limits: ConnectorLimits, ports: ConnectorPorts) {
    this.#stub = stub;
    this.#limits = limits;
    this.#ports = ports;
    this.#watches = new ConnectWatches(stub, limits.resolveMs, { ...ports, after });
    stub.onChange((names) => {
      this.#dead.changed(names);
      this.#watches.changed(names);
    });
  }

  async connect(destination: Destination, options: ConnectOptions): Promise<ConnectOutcome> {
    const { signal, judge = asFound } = options;
    if (signal.aborted) return noAttempt();
    const found = this.#stub.resolveCached(destination) ?? (await this.#resolve(destination, signal));
    if (signal.aborted) return noAttempt();
    const first = judge(found, destination);
    if (first.kind !== "endpoints" && !this.#isDoubtful(first, destination)) return first;
    const outcome = await this.#attempts(destination, options, first).ended;
    if (outcome.kind === "connected") this.#worked(outcome.candidate, destination);
    return outcome;
  }

  /** Without AbortSignal.any and AbortSignal.timeout, which cost more than all else here. */
  #resolve(destination: Destination, signal: AbortSignal): Promise<Resolution> {
    const asking = new AbortController();
    const abort = () => asking.abort();
    const limit = setTimeout(abort, this.#limits.resolveMs);
    signal.addEventListener("abort", abort);
    return this.#stub.resolve(destination, { signal: asking.signal }).finally(() => {
      clearTimeout(limit);
      signal.removeEventListener("abort", abort);
    });
  }

  /** Whether a negative answer may be out of date, or a container be on its way back. */
  #isDoubtful(resolution: Resolution, destination: Destination): boolean {
    if (isSelfContradictory(resolution, destination)) return true;
    const isNegative = resolution.kind === "not-found" || resolution.kind === "port-not-published";
    return isNegative && this.#isRecent(zoneName(destination, this.#stub));
  }

  #isRecent(name: Name | undefined, port?: ServicePort): boolean {
    return name !== undefined && this.#stub.hasAnsweredWithin(name, recentMs, port);
  }

  #attempts(destination: Destination, options: ConnectOptions, first: Resolution): Attempts {
    const { now } = this.#ports;
    const { signal, judge = asFound, dial = dialCandidate } = options;
    const { connectMs, patienceMs } = this.#limits;
    const patience = () => {
      const name = zoneName(destination, this.#stub);
      if (name === undefined) return undefined;
      return this.#isRecent(name) ? patienceMs : 0;
    };
    const wasPublished = () => {
      const name = zoneName(destination, this.#stub);
      return this.#isRecent(name, { protocol: "tcp", port: destination.port });
    };
    const failed = (candidate: Candidate) =>
      this.#dead.failed(candidate, zoneName(destination, this.#stub), now());
    const watch = (attempts: Attempts) => this.#watch(destination, judge, attempts);
    const plan = new ConnectPlan(
      { connectMs, patience, wasPublished },
      first,
      this.#candidates(first),
      now(),
    );
    return new Attempts(plan, { now, dial, signal, failed, watch });
  }

  #watch(
    destination: Destination,
    judge: NonNullable<ConnectOptions["judge"]>,
    attempts: Attempts,
  ): () => void {
    const name = zoneName(destination, this.#stub);
    if (name === undefined) return () => {};
    return this.#watches.join(name, destination, {
      answered: (found) => {
        const judged = judge(found, destination);
        const absent = { kind: "not-found", reason: "its port was published a moment ago" } as const;
        const resolution = isSelfContradictory(judged, destination) ? absent : judged;
        attempts.answered(resolution, this.#candidates(resolution));
      },
      retry: () => attempts.retry(),
    });
  }

  #candidates(resolution: Resolution): readonly Candidate[] {
    if (resolution.kind !== "endpoints") return [];
    return this.#dead.order(candidatesOf(resolution.endpoints, this.#ports.random), this.#ports.now());
  }

  #worked(candidate: Candidate, destination: Destination): void {
    this.#dead.worked(candidate);
    if (this.#watches.size === 0) return;
    const name = zoneName(destination, this.#stub);
    if (name !== undefined) this.#watches.connected(name, destination.port);
  }
}

function asFound(resolution: Resolution): Resolution {
  return resolution;
}

function noAttempt(): ConnectOutcome {
  return { kind: "connect-failed", failures: [] };
}

/** The list of ports has the one that the question before it found nothing at: it was published in between. */
function isSelfContradictory(resolution: Resolution, { port }: Destination): boolean {
  return resolution.kind === "port-not-published" && resolution.published.includes(port);
}

/** The name that berth's resolver answers for; undefined for what is the system's, and for addresses. */
function zoneName(destination: Destination, stub: StubResolver): Name | undefined {
  if (destination.kind !== "name" || stub.zoneOf(destination.name) === undefined) return undefined;
  try {
    return parseName(destination.name);
  } catch (fault) {
    if (fault instanceof BerthError) return undefined;
    throw fault;
  }
}

function after(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
