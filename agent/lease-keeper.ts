import type { Declared, PushReply } from "../shared/binding.ts";
import { digestOf } from "../shared/digest.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { pushBindings, type ResolverAccess, renewLease } from "../shared/resolver-client.ts";
import { backoffMs, slowly, soon } from "./backoff.ts";
import { Bell, type Clock } from "./clock.ts";
import { GrantNews } from "./grant-news.ts";
import { Outage } from "./outage.ts";
import { Turn } from "./turn.ts";

export interface LeaseKeeperOptions {
  hostId: string;
  /** Seconds to ask for; the resolver may grant another number. */
  lease: number;
  /** The resolver's URL. */
  url: string;
  fetch: typeof fetch;
  /** Asked for at every request, so that a new token needs no restart. */
  readToken(): Promise<string>;
  clock: Clock;
  random: () => number;
  log: Log;
}

interface Offer {
  declared: Declared;
  digest: string;
}

/** What the resolver holds for us, by its last reply. */
interface Accepted {
  digest: string;
  leaseMs: number;
  /** The lease counts from here: counted from the reply, we would believe in it longer than the resolver does. */
  sentAt: number;
}

/**
 * Keeps one resolver holding what was offered last: pushes it when it changed, renews the lease at a third of it when it did not. One
 * request at a time; what is offered meanwhile waits for the next.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #outage: Outage;
  readonly #news: GrantNews;
  readonly #turn = new Turn();
  readonly #bell = new Bell();
  readonly #closing = new AbortController();
  #wanted: Declared | undefined;
  #offer: Offer | undefined;
  #accepted: Accepted | undefined;
  #retryAt = 0;
  #failures = 0;
  #inFlight: AbortController | undefined;

  constructor(options: LeaseKeeperOptions) {
    this.#options = options;
    this.#outage = new Outage(options.log, `the resolver at ${options.url} takes this host's names again`);
    this.#news = new GrantNews(options.log);
  }

  /** The host's whole set; undefined while nothing can be vouched for, and then nothing is renewed either. */
  offer(declared: Declared | undefined): void {
    this.#wanted = declared;
    this.#bell.ring();
  }

  /** Resolves after `close` only. */
  async run(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#closing.signal.aborted) {
      const offer = await this.#digestOffer();
      const waitMs = this.#dueAt(offer) - clock.now();
      if (offer !== undefined && waitMs <= 0) await this.#exchange(offer);
      else await this.#bell.wait(clock, waitMs, this.#closing.signal);
    }
  }

  close(): void {
    this.#closing.abort();
    this.#inFlight?.abort();
  }

  async #digestOffer(): Promise<Offer | undefined> {
    const declared = this.#wanted;
    if (declared === undefined) return undefined;
    if (this.#offer?.declared === declared) return this.#offer;
    const digest = await digestOf(declared);
    this.#offer = { declared, digest };
    return this.#offer;
  }

  #dueAt(offer: Offer | undefined): number {
    if (offer === undefined) return Number.POSITIVE_INFINITY;
    if (offer.digest !== this.#accepted?.digest) return this.#retryAt;
    return Math.max(this.#retryAt, this.#accepted.sentAt + this.#accepted.leaseMs / 3);
  }

  async #exchange({ declared, digest }: Offer): Promise<void> {
    const { clock, lease } = this.#options;
    const renews = digest === this.#accepted?.digest;
    const sentAt = clock.now();
    try {
      const reply = await this.#send({ ...this.#turn.next(), lease, digest }, renews ? undefined : declared);
      this.#take(reply, { declared, digest }, sentAt);
    } catch (fault) {
      if (!this.#closing.signal.aborted) this.#recover(fault, renews);
    }
  }

  async #send(
    turn: { epoch: number; sequence: number; lease: number; digest: string },
    declared: Declared | undefined,
  ): Promise<PushReply> {
    const { url, hostId, readToken } = this.#options;
    const inFlight = new AbortController();
    this.#inFlight = inFlight;
    const access: ResolverAccess = {
      url,
      token: await readToken(),
      timeoutMs: this.#limitMs(),
      fetch: (input, init) => {
        const signals = [inFlight.signal, ...(init?.signal ? [init.signal] : [])];
        return this.#options.fetch(input, { ...init, signal: AbortSignal.any(signals) });
      },
    };
    if (this.#closing.signal.aborted) throw new Error("closed");
    if (declared === undefined) return renewLease(access, hostId, turn);
    return pushBindings(access, hostId, { ...turn, declared });
  }

  /** A third of the lease: after one lost reply there is still time to ask again before it lapses. */
  #limitMs(): number {
    const leaseMs = this.#accepted?.leaseMs ?? this.#options.lease * 1000;
    return Math.min(10_000, Math.max(2_000, leaseMs / 3));
  }

  #take(reply: PushReply, { declared, digest }: Offer, sentAt: number): void {
    // The first one tells that all is well; later ones are everyday life.
    const level = this.#accepted === undefined ? "info" : "debug";
    if (this.#accepted?.digest !== digest)
      this.#options.log[level](
        `pushed ${declared.bindings.length} bindings, for a lease of ${reply.lease} s`,
      );
    this.#turn.settle();
    // A reply that grants next to nothing must not make us ask without pause.
    this.#accepted = { digest, sentAt, leaseMs: Math.max(reply.lease * 1000, 1_000) };
    this.#failures = 0;
    this.#retryAt = 0;
    this.#outage.end();
    this.#news.read(reply, declared.hostLabel);
  }

  #recover(fault: unknown, renews: boolean): void {
    const error =
      fault instanceof BerthError ? fault : new BerthError("fault", describeFault(fault), { cause: fault });
    // The registry was wiped, restored or failed over, or a lost reply left us with another idea of what it holds.
    if (renews && error.code === "unknown-digest") {
      this.#accepted = undefined;
      return;
    }
    if (error.code === "superseded") {
      this.#stepBack(error);
      return;
    }
    const kind = error.code === "resolver-unreachable" ? error.code : error.message;
    this.#outage.begin(kind, describeFault(error));
    this.#retryAt = this.#options.clock.now() + this.#backoff(error.retryable);
  }

  #stepBack(error: BerthError): void {
    if (this.#turn.raiseAbove(error.facts.heldEpoch)) return;
    const { clock, lease } = this.#options;
    const remaining = error.facts.leaseRemaining;
    const seconds = typeof remaining === "number" && remaining > 0 ? remaining : lease;
    this.#accepted = undefined;
    // A second more than it has left, lest we ask just before it lapses.
    this.#retryAt = clock.now() + (seconds + 1) * 1000;
    const message =
      "another process uses this host's key, so this one stops pushing; a state directory was copied with its host.key (a cloned machine?): stop one agent, remove host.key from its state directory and start it again";
    this.#outage.begin("superseded", `${message}: ${describeFault(error)}`, "error");
  }

  #backoff(helps: boolean): number {
    return backoffMs(helps ? soon : slowly, this.#failures++, this.#options.random());
  }
}
