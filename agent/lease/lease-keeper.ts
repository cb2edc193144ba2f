import type { Declared, PushReply } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { backoffMs, slowly, soon } from "../backoff.ts";
import { bindingText } from "../binding-text.ts";
import { Bell, type Clock } from "../clock.ts";
import { Outage } from "../outage.ts";
import { deltaWorthPushing } from "./delta.ts";
import { GrantNews } from "./grant-news.ts";
import type { LinkNews } from "./link-end.ts";
import { type OpenLink, RenewalLink } from "./renewal-link.ts";
import {
  type Message,
  type Offer,
  ResolverSession,
  type ResolverSessionOptions,
} from "./resolver-session.ts";
import { type LeaseState, Standing } from "./standing.ts";
import { describeTrouble } from "./trouble.ts";
import { Turn } from "./turn.ts";

export interface LeaseKeeperOptions extends ResolverSessionOptions {
  /** Seconds to ask for; the resolver may grant another number. */
  lease: number;
  /** Where `readToken` reads, for people. */
  tokenFile: string;
  openLink: OpenLink;
  /** Called at least every 30 s while the keeper is alive, whatever the resolver does. */
  onProgress?: () => void;
  clock: Clock;
  random: () => number;
  log: Log;
}

/** Nothing is due as often as this; only `onProgress` needs it. */
const longestRestMs = 15_000;

/** What the registry holds for us, by its last reply. */
interface Accepted extends Offer {
  leaseMs: number;
  /** When to renew: a third of the lease after the request was sent. Counted from the reply, we would believe in it longer than the registry. */
  dueAt: number;
}

/**
 * Keeps the registry holding what was offered last: pushes it when it changed, renews the lease at a third of it when it did not, by a
 * link where one is open. One request at a time; what is offered meanwhile waits for the next.
 */
export class LeaseKeeper {
  readonly #options: LeaseKeeperOptions;
  readonly #session: ResolverSession;
  readonly #link: RenewalLink;
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
  readonly #standing = new Standing();

  constructor(options: LeaseKeeperOptions) {
    const { openLink: open, clock, random, log } = options;
    this.#options = options;
    this.#session = new ResolverSession(options);
    this.#outage = new Outage(log, () => `the resolver at ${this.resolverUrl} takes this host's names again`);
    this.#news = new GrantNews(log);
    const onReply = (reply: PushReply): void => this.#hear(reply);
    const onEnd = (url: string, news: LinkNews): void => this.#linkEnded(url, news);
    this.#link = new RenewalLink({ open, clock, random, log, onReply, onEnd });
  }

  /** Of the resolver whose turn it is. */
  get resolverUrl(): string {
    return this.#session.url;
  }

  get state(): LeaseState {
    const { fault, leaseMs, renewedAt, pushes, renewals } = this.#standing;
    const { hostLabel, refused } = this.#news;
    const url = this.resolverUrl;
    const isLinked = this.#link.isOpen(url);
    return { url, fault, leaseMs, renewedAt, pushes, renewals, isLinked, hostLabel, refused };
  }

  /** The host's whole set; undefined while nothing can be vouched for, and then nothing is renewed either. */
  offer(declared: Declared | undefined): void {
    this.#wanted = declared;
    this.#bell.ring();
  }

  /** Resolves once the registry has taken what was offered last, or after `limitMs`. Never rejects. */
  flush(limitMs: number): Promise<void> {
    const isTaken = async (): Promise<boolean> => {
      const offer = await this.#digestOffer();
      return offer === undefined || offer.digest === this.#accepted?.digest;
    };
    return this.#standing.until(isTaken, this.#options.clock, limitMs);
  }

  /** Resolves after `close` only. */
  async run(): Promise<void> {
    const { clock, onProgress } = this.#options;
    while (!this.#closing.signal.aborted) {
      onProgress?.();
      const offer = await this.#digestOffer();
      const dueAt = this.#dueAt(offer);
      if (offer !== undefined && dueAt <= clock.now()) await this.#exchange(offer);
      else {
        const linkDueAt = this.#tendLink(offer);
        const waitMs = Math.min(dueAt, linkDueAt) - clock.now();
        await this.#bell.wait(clock, Math.min(longestRestMs, Math.max(0, waitMs)), this.#closing.signal);
      }
    }
  }

  /** Withdraws nothing: neither does the end of a link. */
  close(): void {
    this.#closing.abort();
    this.#session.abort();
    this.#link.close();
  }

  async #digestOffer(): Promise<Offer | undefined> {
    const declared = this.#wanted;
    if (declared === undefined) return undefined;
    if (this.#offer?.declared === declared) return this.#offer;
    const digest = await digestOf(declared, bindingText);
    this.#offer = { declared, digest };
    return this.#offer;
  }

  #dueAt(offer: Offer | undefined): number {
    if (offer === undefined) return Number.POSITIVE_INFINITY;
    if (offer.digest !== this.#accepted?.digest) return this.#retryAt;
    return Math.max(this.#retryAt, this.#accepted.dueAt);
  }

  /** A link is for the set that was accepted, while it is vouched for and nothing is wrong. Returns when to look after it again. */
  #tendLink(offer: Offer | undefined): number {
    const { clock, lease } = this.#options;
    const url = this.resolverUrl;
    if (offer === undefined) this.#link.close();
    if (this.#closing.signal.aborted || offer === undefined || offer.digest !== this.#accepted?.digest)
      return Number.POSITIVE_INFINITY;
    if (this.#retryAt > clock.now()) return this.#retryAt;
    this.#link.tend(url, () => this.#session.linkRequest(() => this.#turn.next(), lease, offer.digest));
    return this.#link.dueAt(url);
  }

  async #exchange(offer: Offer): Promise<void> {
    const message = this.#messageOf(offer);
    const sentAt = this.#options.clock.now();
    const url = this.resolverUrl;
    if (message.kind === "renewal" && this.#link.isOpen(url)) {
      // Not answered, it is over, and a request follows at once.
      if (await this.#link.renew(this.#limitMs() / 2)) this.#renewed("renewal", sentAt);
      return;
    }
    this.#link.interrupt();
    try {
      const turn = this.#turn.next();
      const reply = await this.#session.send(message, turn, this.#options.lease, this.#limitMs());
      this.#session.worked(url);
      this.#take(reply, offer, message.kind, sentAt);
    } catch (fault) {
      if (!this.#closing.signal.aborted) this.#recover(fault, message.kind, url);
    }
  }

  #messageOf({ declared, digest }: Offer): Message {
    const held = this.#accepted;
    if (held?.digest === digest) return { kind: "renewal", digest };
    const isDelta = held !== undefined && this.#session.takesDeltas(this.#options.clock.now());
    const difference = isDelta ? deltaWorthPushing(held.declared, declared) : undefined;
    if (held === undefined || difference === undefined) return { kind: "whole", digest, declared };
    return { kind: "delta", digest, base: held.digest, difference };
  }

  /** A third of the lease: after one lost reply there is still time to ask again before it lapses. */
  #limitMs(): number {
    const leaseMs = this.#accepted?.leaseMs ?? this.#options.lease * 1000;
    return Math.min(10_000, Math.max(2_000, leaseMs / 3));
  }

  #take(reply: PushReply, offer: Offer, sent: Message["kind"], sentAt: number): void {
    // The first one tells that all is well; later ones are everyday life.
    const level = this.#accepted === undefined ? "info" : "debug";
    if (this.#accepted?.digest !== offer.digest)
      this.#options.log[level](
        `pushed ${offer.declared.bindings.length} bindings, for a lease of ${reply.lease} s`,
      );
    this.#turn.settle();
    this.#accepted = { ...offer, leaseMs: leaseMsOf(reply), dueAt: 0 };
    this.#standing.leaseMs = this.#accepted.leaseMs;
    this.#renewed(sent === "renewal" ? "renewal" : "push", sentAt);
    this.#news.read(reply, offer.declared.hostLabel);
  }

  #renewed(kind: "push" | "renewal", sentAt: number): void {
    if (this.#accepted !== undefined) this.#accepted.dueAt = sentAt + this.#accepted.leaseMs / 3;
    this.#standing.taken(kind, sentAt);
    this.#failures = 0;
    this.#retryAt = 0;
    this.#outage.end();
  }

  /** Said by a link: another lease counts from the next renewal on, which is sooner if that is shorter. */
  #hear(reply: PushReply): void {
    const held = this.#accepted;
    if (held === undefined) return;
    held.leaseMs = leaseMsOf(reply);
    this.#standing.leaseMs = held.leaseMs;
    held.dueAt = Math.min(held.dueAt, this.#options.clock.now() + held.leaseMs / 3);
    this.#news.read(reply, held.declared.hostLabel);
    this.#bell.ring();
  }

  #linkEnded(url: string, news: LinkNews): void {
    const now = this.#options.clock.now();
    if (news === "push-whole") this.#accepted = undefined;
    if (news === "renew-now" && this.#accepted !== undefined) this.#accepted.dueAt = now;
    // Not at once: nobody's lease ends because a resolver restarts.
    if (news === "resolver-leaves") this.#session.failed(url, now);
    this.#bell.ring();
  }

  #recover(fault: unknown, sent: Message["kind"], url: string): void {
    const now = this.#options.clock.now();
    const error =
      fault instanceof BerthError ? fault : new BerthError("fault", describeFault(fault), { cause: fault });
    if (error.code === "superseded") {
      this.#stepBack(error);
      return;
    }
    // The registry was wiped, restored or failed over, or a lost reply left us with another idea of what it holds.
    if (sent !== "whole" && error.code === "unknown-digest") {
      this.#accepted = undefined;
      return;
    }
    if (sent === "delta") {
      this.#session.deltaFailed(url, now);
      // The whole set follows at once, and its reply says if something else is wrong.
      if (error.code !== "resolver-unreachable") return;
    }
    this.#standing.fault = this.#describe(error);
    this.#outage.begin(error.retryable ? error.code : error.message, this.#standing.fault);
    const isResolverDown = error.retryable && error.who === url;
    if (isResolverDown && this.#session.failed(url, now)) return;
    const pace = error.retryable ? soon : slowly;
    this.#retryAt = now + backoffMs(pace, this.#failures++, this.#options.random());
  }

  #stepBack(error: BerthError): void {
    const { clock, lease } = this.#options;
    const { heldEpoch, leaseRemaining } = error.facts;
    this.#link.close();
    if (this.#turn.raiseAbove(heldEpoch, leaseRemaining)) return;
    this.#turn.stepBack();
    this.#accepted = undefined;
    // What runs now is the other process' lease.
    this.#standing.leaseMs = undefined;
    const seconds = typeof leaseRemaining === "number" && leaseRemaining > 0 ? leaseRemaining : lease;
    // A second more than it has left, lest we ask just before it lapses.
    this.#retryAt = clock.now() + (seconds + 1) * 1000;
    this.#standing.fault = this.#describe(error);
    this.#outage.begin("superseded", this.#standing.fault, "error");
  }

  #describe(error: BerthError): string {
    return describeTrouble(error, this.#options.tokenFile);
  }
}

/** A reply that grants next to nothing must not make us ask without pause. */
function leaseMsOf(reply: PushReply): number {
  return Math.max(reply.lease * 1000, 1_000);
}
