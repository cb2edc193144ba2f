import type { Declared, PushReply } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import { ResolverChoice } from "../../shared/resolver-choice.ts";
import {
  type HostTurn,
  type KnownGeneration,
  pushBindings,
  pushDelta,
  type ResolverAccess,
  renewLease,
  signedHeaders,
} from "../../shared/resolver-client.ts";
import { type HttpSend, urlOf } from "../../shared/resolver-exchange.ts";
import type { HostSigner } from "../../shared/signature.ts";
import type { Difference } from "./delta.ts";
import type { LinkRequest } from "./renewal-link.ts";

export interface ResolverSessionOptions {
  hostId: string;
  signer: HostSigner;
  /** Of interchangeable resolvers, which share one registry: the first one is asked first. */
  urls: readonly string[];
  fetch: HttpSend;
  /** Asked for at every request, so that a new token needs no restart. */
  readToken(): Promise<string>;
  /** Milliseconds since 1970, for the time a signature states. */
  wallTime: () => number;
}

const noDeltasMs = 600_000;

/** A set with its digest. */
export interface Offer {
  declared: Declared;
  digest: string;
}

/** What to tell the resolver: that the set with this digest still is true, what became of the set before it, or the whole set. */
export type Message =
  | { kind: "renewal"; digest: string }
  | { kind: "delta"; digest: string; base: string; difference: Difference }
  | { kind: "whole"; digest: string; declared: Declared };

/**
 * This host's requests to whichever resolver has the turn. What one of them accepted all are taken to know; one that does not says so. Only
 * the registry's generation is kept for each, because that is what a restart changes.
 */
export class ResolverSession {
  readonly #options: ResolverSessionOptions;
  readonly #choice: ResolverChoice;
  readonly #generations = new Map<string, KnownGeneration>();
  #latest: KnownGeneration | undefined;
  /** Those that failed since one worked or all had been asked. */
  readonly #failed = new Set<string>();
  /** By URL, until when deltas are not to be sent there. */
  readonly #deltasFrom = new Map<string, number>();
  #url: string;
  #inFlight = new AbortController();

  constructor(options: ResolverSessionOptions) {
    this.#options = options;
    this.#choice = new ResolverChoice(options.urls);
    this.#url = this.#choice.current();
  }

  /** Of the resolver the next request goes to. */
  get url(): string {
    return this.#url;
  }

  /** One exchange. Throws as shared/resolver-client.ts does; a token that cannot be read is the reader's own fault. */
  async send(message: Message, turn: HostTurn, lease: number, timeoutMs: number): Promise<PushReply> {
    const { hostId } = this.#options;
    const inFlight = new AbortController();
    this.#inFlight = inFlight;
    const access = await this.#access(timeoutMs, inFlight.signal);
    const head = { ...turn, lease, digest: message.digest };
    if (message.kind === "renewal") return renewLease(access, hostId, head);
    if (message.kind === "whole")
      return pushBindings(access, hostId, { ...head, declared: message.declared });
    return pushDelta(access, hostId, { ...head, base: message.base, ...message.difference });
  }

  /** The upgrade to a link, which is judged as the renewal of the set with this digest. The turn is taken as late as can be. */
  async linkRequest(nextTurn: () => HostTurn, lease: number, digest: string): Promise<LinkRequest> {
    const access = await this.#access(0);
    const path = `/v1/hosts/${this.#options.hostId}/link`;
    const asked = { "berth-digest": digest, "berth-lease": String(lease) };
    const headers = await signedHeaders(access, { method: "GET", path, headers: asked }, nextTurn());
    return { url: urlOf(access, path), headers };
  }

  /** Whether a delta is worth a try. */
  takesDeltas(now: number): boolean {
    return now >= (this.#deltasFrom.get(this.url) ?? 0);
  }

  /** One came to nothing at `url`: the resolver is an older one, a proxy passes none on, or it made another set of it. */
  deltaFailed(url: string, now: number): void {
    this.#deltasFrom.set(url, now + noDeltasMs);
  }

  /** Ends a request under way. */
  abort(): void {
    this.#inFlight.abort();
  }

  /** The resolver at `url` gave no answer or cannot serve. True when another one is left that may be asked at once. */
  failed(url: string, now: number): boolean {
    this.#choice.failed(url, now);
    this.#failed.add(url);
    const next = this.#choice.order(now).find((other) => !this.#failed.has(other));
    if (next === undefined) this.#failed.clear();
    this.#url = next ?? this.#choice.current();
    return next !== undefined;
  }

  /** The resolver at `url` answered; not news when the next one has its turn by now. */
  worked(url: string): void {
    if (url !== this.#url) return;
    this.#choice.worked(url);
    this.#failed.clear();
  }

  async #access(timeoutMs: number, signal?: AbortSignal): Promise<ResolverAccess> {
    const { url } = this;
    const { signer, readToken, wallTime } = this.#options;
    const token = await readToken();
    if (signal?.aborted) throw new BerthError("closed", "the agent ends");
    return {
      url,
      token,
      timeoutMs,
      signer,
      now: wallTime,
      generation: this.#generation(url),
      fetch: this.#fetch(signal),
    };
  }

  #fetch(ended: AbortSignal | undefined): HttpSend {
    return (url, request) => {
      const signals = [request.signal, ...(ended === undefined ? [] : [ended])];
      return this.#options.fetch(url, { ...request, signal: AbortSignal.any(signals) });
    };
  }

  /** Where one was never asked, that of another is the best guess: resolvers of one registry may well share it. */
  #generation(url: string): KnownGeneration {
    const known = this.#generations.get(url) ?? { current: this.#latest?.current ?? "" };
    this.#generations.set(url, known);
    this.#latest = known;
    return known;
  }
}
