import { z } from "zod";

import { type PushReply, pushReplySchema } from "../../shared/binding.ts";
import type { Log } from "../../shared/log.ts";
import { backoffMs, type Pace } from "../backoff.ts";
import type { Clock } from "../clock.ts";
import { describeEnd, hasNoLinks, type LinkEnd, type LinkNews, newsOf } from "./link-end.ts";

/** A signed upgrade. */
export interface LinkRequest {
  /** http or https. */
  url: string;
  headers: Record<string, string>;
}

export interface LinkEvents {
  onOpen(): void;
  onMessage(text: string): void;
  /** Called once and last, unless the link was closed or dropped from this side. */
  onEnd(end: LinkEnd): void;
}

export interface Link {
  send(text: string): void;
  /** Says goodbye. */
  close(): void;
  /** Lets go of a peer that may not be there any more. */
  drop(): void;
}

/** Calls nothing back before it has returned. */
export type OpenLink = (request: LinkRequest, events: LinkEvents) => Link;

export interface RenewalLinkOptions {
  open: OpenLink;
  clock: Clock;
  random: () => number;
  log: Log;
  onReply(reply: PushReply): void;
  onEnd(url: string, news: LinkNews): void;
}

/** The whole of the way to an open link: name lookup, TCP, TLS, upgrade. */
const openLimitMs = 5_000;
const pace: Pace = { first: 1_000, cap: 60_000 };
/** There is no link where it was asked for: an older resolver, or a proxy before it that knows no WebSocket. */
const noLinksMs = 600_000;

interface Attempt {
  url: string;
  link: Link | undefined;
  isOpen: boolean;
  isOver: boolean;
  cancelLimit(): void;
  /** Told whether a ping was answered. */
  onAnswer(arrived: boolean): void;
}

interface Pause {
  until: number;
  failures: number;
}

/**
 * Prolongs the lease by a few octets on a WebSocket, where one can be had; a request with signature and JSON does the same and is used
 * whenever it cannot. One link at most, to one resolver; one that fails is tried again, ever more rarely until it has served.
 */
export class RenewalLink {
  readonly #options: RenewalLinkOptions;
  readonly #pauses = new Map<string, Pause>();
  #attempt: Attempt | undefined;

  constructor(options: RenewalLinkOptions) {
    this.#options = options;
  }

  /** When `tend` has something to do. */
  dueAt(url: string): number {
    if (this.#attempt?.url === url) return Number.POSITIVE_INFINITY;
    return this.#pauses.get(url)?.until ?? 0;
  }

  /** Starts opening a link to `url` when there is none and it is time. */
  tend(url: string, sign: () => Promise<LinkRequest>): void {
    if (this.dueAt(url) > this.#options.clock.now()) return;
    this.close();
    this.#open(url, sign);
  }

  isOpen(url: string): boolean {
    return this.#attempt?.url === url && this.#attempt.isOpen;
  }

  /** True when the resolver answered a ping within the limit. Otherwise there is no open link any more. */
  async renew(limitMs: number): Promise<boolean> {
    const attempt = this.#attempt;
    if (!attempt?.isOpen) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    attempt.onAnswer = resolve;
    this.#limit(attempt, limitMs);
    attempt.link?.send("ping");
    const arrived = await promise;
    attempt.cancelLimit();
    if (arrived) this.#pauses.delete(attempt.url);
    return arrived;
  }

  /**
   * Gives up one that is being opened: a request is about to take the next turn, and an upgrade that comes in after it would be
   * superseded.
   */
  interrupt(): void {
    const attempt = this.#attempt;
    if (attempt === undefined || attempt.isOpen) return;
    this.#forget(attempt);
    attempt.link?.drop();
    // Counted as a failure: a peer that keeps an upgrade waiting is interrupted by every renewal.
    this.#pause(attempt.url);
  }

  close(): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#forget(attempt);
    attempt.link?.close();
  }

  async #open(url: string, sign: () => Promise<LinkRequest>): Promise<void> {
    const nothing = (): void => {};
    const attempt: Attempt = {
      url,
      link: undefined,
      isOpen: false,
      isOver: false,
      cancelLimit: nothing,
      onAnswer: nothing,
    };
    this.#attempt = attempt;
    this.#limit(attempt, openLimitMs);
    try {
      const request = await sign();
      if (attempt.isOver) return;
      attempt.link = this.#options.open(request, {
        onOpen: () => this.#opened(attempt),
        onMessage: (text) => this.#read(attempt, text),
        onEnd: (end) => this.#end(attempt, end),
      });
    } catch (fault) {
      this.#end(attempt, { kind: "failed", fault });
    }
  }

  #opened(attempt: Attempt): void {
    if (attempt.isOver) return;
    attempt.cancelLimit();
    attempt.isOpen = true;
    this.#options.log.debug(`renews the lease by a link to ${attempt.url}`);
  }

  /** What it does not know it leaves alone: a newer resolver may have more to say. */
  #read(attempt: Attempt, text: string): void {
    if (attempt.isOver) return;
    if (text === "pong") {
      attempt.onAnswer(true);
      return;
    }
    const reply = replyText.safeParse(text);
    if (reply.success) this.#options.onReply(reply.data);
  }

  #end(attempt: Attempt, end: LinkEnd): void {
    if (attempt.isOver) return;
    this.#forget(attempt);
    attempt.link?.drop();
    const { log, onEnd } = this.#options;
    this.#pause(attempt.url, hasNoLinks(end) ? noLinksMs : undefined);
    log.debug(`no link to ${attempt.url}, so the lease is renewed by requests: ${describeEnd(end)}`);
    onEnd(attempt.url, newsOf(end));
  }

  #pause(url: string, ms?: number): void {
    const { clock, random } = this.#options;
    const failures = this.#pauses.get(url)?.failures ?? 0;
    const waitMs = ms ?? backoffMs(pace, failures, random());
    this.#pauses.set(url, { until: clock.now() + waitMs, failures: failures + 1 });
  }

  #forget(attempt: Attempt): void {
    attempt.isOver = true;
    attempt.cancelLimit();
    attempt.onAnswer(false);
    if (this.#attempt === attempt) this.#attempt = undefined;
  }

  #limit(attempt: Attempt, ms: number): void {
    attempt.cancelLimit = this.#options.clock.after(ms, () => {
      this.#end(attempt, { kind: "failed", fault: new Error(`no answer within ${ms / 1000} s`) });
    });
  }
}

const replyText = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: "custom", message: "not JSON" });
      return z.NEVER;
    }
  })
  .pipe(pushReplySchema);
