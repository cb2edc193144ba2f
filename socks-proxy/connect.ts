import { connect, type Socket } from "node:net";

import type { Endpoint } from "../shared/dns/endpoints.ts";

export type Connection =
  | { kind: "connected"; upstream: Socket; endpoint: Endpoint }
  | { kind: "connect-failed"; failures: ConnectFailure[] };

export interface ConnectFailure {
  endpoint: Endpoint;
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
 * Connects to the first endpoint that accepts. They are tried in the order given; the next attempt starts as soon as one fails, or
 * when 250 ms brought no result, while earlier ones go on (RFC 8305 §5). The socket comes with half-close allowed.
 */
export function connectFirst(endpoints: readonly Endpoint[], limits: ConnectLimits): Promise<Connection> {
  const { promise, resolve } = Promise.withResolvers<Connection>();
  const untried = endpoints.values();
  const pending = new Map<Socket, Endpoint>();
  const failures: ConnectFailure[] = [];
  let pace: NodeJS.Timeout | undefined;
  let finished = false;
  const limit = setTimeout(giveUp, limits.timeoutMs);
  limits.signal.addEventListener("abort", giveUp);
  if (limits.signal.aborted) giveUp();
  else startNext();
  return promise;

  function startNext(): void {
    clearTimeout(pace);
    const { value: endpoint } = untried.next();
    if (endpoint === undefined) {
      if (pending.size === 0) giveUp();
      return;
    }
    const upstream = startAttempt(endpoint);
    pending.set(upstream, endpoint);
    upstream.once("connect", () => finish({ kind: "connected", upstream, endpoint }));
    // Stays on the socket that wins: until the relay listens, a fault without a listener would end the process.
    upstream.on("error", (fault: NodeJS.ErrnoException) => {
      if (finished) return;
      pending.delete(upstream);
      failures.push({ endpoint, errno: fault.code ?? fault.message });
      startNext();
    });
    pace = setTimeout(startNext, attemptDelayMs);
  }

  function giveUp(): void {
    for (const endpoint of pending.values()) failures.push({ endpoint, errno: "ETIMEDOUT" });
    finish({ kind: "connect-failed", failures });
  }

  function finish(connection: Connection): void {
    finished = true;
    clearTimeout(limit);
    clearTimeout(pace);
    limits.signal.removeEventListener("abort", giveUp);
    if (connection.kind === "connected") pending.delete(connection.upstream);
    for (const socket of pending.keys()) socket.destroy();
    resolve(connection);
  }
}

function startAttempt({ address, port }: Endpoint): Socket {
  return connect({ host: address, port, allowHalfOpen: true, noDelay: true, autoSelectFamily: false });
}
