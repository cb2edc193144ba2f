import { parseAddress } from "../../shared/address.ts";
import { type Drainable, drain } from "../drain.ts";
import { judgedResolve, judgeFor } from "../policy/judged.ts";
import { createUdpBudget, standardUdpBounds } from "../udp/udp-budget.ts";
import type { TransparentContext } from "./tcp-clients.ts";
import type { UdpService } from "./udp-port.ts";

/** Of all UDP services together. */
const mostSessions = 4_096;
/** The bound on sessions is the one that holds: each has one socket, and two while its service moves. */
const mostSockets = 2 * mostSessions;
const bounds = { ...standardUdpBounds, upstreamsPerClient: mostSockets, upstreams: mostSockets };

/** What all UDP services have in common; the policy lets them lead where programs of this machine may go. */
export function createUdpService(
  { stub, policy, times, counts, udp }: TransparentContext,
  parts: Pick<UdpService, "sessions" | "isLocal" | "onConnection" | "clock">,
): UdpService {
  const resolve = judgedResolve(stub, judgeFor(parseAddress("127.0.0.1"), policy, stub));
  return {
    ...parts,
    resolve: (destination, fresh) =>
      resolve(destination, { protocol: "udp", fresh, signal: AbortSignal.timeout(times.resolve) }),
    budget: createUdpBudget(bounds),
    dead: udp.dead,
    random: udp.random,
    moved(direction, octets) {
      counts[direction] += octets;
    },
  };
}

/** The sessions of all services. */
export class OpenSessions {
  readonly #open = new Set<Drainable>();
  #isDraining = false;

  get count(): number {
    return this.#open.size;
  }

  /** From then on those that are there come to their end, and no new ones are let in. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** False when there are as many as there may be. */
  add(session: Drainable): boolean {
    if (this.#isDraining || this.#open.size >= mostSessions) return false;
    this.#open.add(session);
    return true;
  }

  remove(session: Drainable): void {
    this.#open.delete(session);
  }

  /** Ends all of them, giving busy ones `timeoutMs` milliseconds. */
  async close(timeoutMs: number): Promise<void> {
    this.#isDraining = true;
    await drain(this.#open, timeoutMs);
  }
}
