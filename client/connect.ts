import { connect, type Socket } from "node:net";

import type { Candidate } from "./endpoint-order.ts";

export type Connection =
  | { kind: "connected"; upstream: Socket; candidate: Candidate }
  | { kind: "connect-failed"; failures: ConnectFailure[] };

export interface ConnectFailure {
  candidate: Candidate;
  /** As Node names it: ECONNREFUSED; ETIMEDOUT also when the time was over first. */
  errno: string;
}

export interface ConnectLimits {
  /** Milliseconds for all attempts together. */
  timeoutMs: number;
  /** Ends every attempt, such as when the client has gone. */
  signal: AbortSignal;
}

/** RFC 8305 §8, the recommended Connection Attempt Delay. */
const attemptDelayMs = 250;

/**
 * Connects to the first candidate that accepts. They are tried in the order given; the next attempt starts as soon as one fails, or
 * when 250 ms brought no result, while earlier ones go on (RFC 8305 §5). The socket comes with half-close allowed.
 */
export async function connectFirst(
  candidates: readonly Candidate[],
  { timeoutMs, signal }: ConnectLimits,
): Promise<Connection> {
  if (signal.aborted) return { kind: "connect-failed", failures: [] };
  const race = new ConnectionRace(candidates);
  const giveUp = () => race.giveUp();
  const limit = setTimeout(giveUp, timeoutMs);
  signal.addEventListener("abort", giveUp);
  race.startNext();
  const connection = await race.ended;
  clearTimeout(limit);
  signal.removeEventListener("abort", giveUp);
  return connection;
}

class ConnectionRace {
  readonly ended: Promise<Connection>;
  readonly #resolve: (connection: Connection) => void;
  readonly #untried: Iterator<Candidate, undefined>;
  readonly #pending = new Map<Socket, Candidate>();
  readonly #failures: ConnectFailure[] = [];
  #pace: NodeJS.Timeout | undefined;

  constructor(candidates: readonly Candidate[]) {
    const { promise, resolve } = Promise.withResolvers<Connection>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#untried = candidates.values();
  }

  startNext(): void {
    clearTimeout(this.#pace);
    const { value: candidate } = this.#untried.next();
    if (candidate !== undefined) {
      this.#start(candidate);
      this.#pace = setTimeout(() => this.startNext(), attemptDelayMs);
    } else if (this.#pending.size === 0) this.giveUp();
  }

  giveUp(): void {
    for (const candidate of this.#pending.values()) this.#failures.push({ candidate, errno: "ETIMEDOUT" });
    this.#finish({ kind: "connect-failed", failures: this.#failures });
  }

  #start(candidate: Candidate): void {
    const { address, port } = candidate;
    const options = { allowHalfOpen: true, noDelay: true, autoSelectFamily: false };
    const upstream = connect({ host: address, port, ...options });
    this.#pending.set(upstream, candidate);
    upstream.once("connect", () => {
      this.#pending.delete(upstream);
      this.#finish({ kind: "connected", upstream, candidate });
    });
    // Stays on the socket that wins: until the relay listens, a fault without a listener would end the process.
    upstream.on("error", (fault: NodeJS.ErrnoException) => {
      // Not there: it won, or the race is over.
      if (!this.#pending.delete(upstream)) return;
      this.#failures.push({ candidate, errno: fault.code ?? fault.message });
      this.startNext();
    });
  }

  #finish(connection: Connection): void {
    clearTimeout(this.#pace);
    const losers = [...this.#pending.keys()];
    this.#pending.clear();
    for (const socket of losers) socket.destroy();
    this.#resolve(connection);
  }
}
