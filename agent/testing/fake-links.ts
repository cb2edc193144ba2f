import type { Link, LinkEvents, LinkRequest, OpenLink } from "../lease/renewal-link.ts";
import { type FakeResolver, statusOf } from "./fake-resolver.ts";

/** One link as the resolver sees it. */
export interface FakeLink {
  origin: string;
  isOpen: boolean;
  readonly received: string[];
  /** What the agent did to it. */
  left: "closed" | "dropped" | undefined;
  say(text: string): void;
  end(code: number): void;
}

/** Links to a FakeResolver, without any socket. */
export class FakeLinks {
  readonly all: FakeLink[] = [];
  /** The status upgrades are refused with, whatever they ask for; undefined: they are judged. */
  refusal: number | undefined;
  /** Upgrades and pings stay without an answer. */
  isSilent = false;
  readonly #resolver: FakeResolver;

  constructor(resolver: FakeResolver) {
    this.#resolver = resolver;
  }

  get last(): FakeLink | undefined {
    return this.all.at(-1);
  }

  readonly open: OpenLink = (request, events) => {
    const url = new URL(request.url);
    const link: FakeLink = {
      origin: url.origin,
      isOpen: false,
      received: [],
      left: undefined,
      say: (text) => events.onMessage(text),
      end: (code) => {
        link.isOpen = false;
        events.onEnd({ kind: "closed", code });
      },
    };
    this.all.push(link);
    let epoch = 0;
    this.#judge(request, events).then((accepted) => {
      if (accepted === undefined || link.left !== undefined) return;
      epoch = accepted;
      link.isOpen = true;
      events.onOpen();
    });
    return this.#handle(link, () => epoch);
  };

  async #judge(request: LinkRequest, events: LinkEvents): Promise<number | undefined> {
    try {
      const epoch = await this.#resolver.acceptLink(new URL(request.url), new Headers(request.headers));
      if (this.isSilent) return undefined;
      if (this.refusal === undefined) return epoch;
      events.onEnd({ kind: "refused", status: this.refusal });
    } catch (fault) {
      if (fault instanceof TypeError) events.onEnd({ kind: "failed", fault });
      else events.onEnd({ kind: "refused", status: statusOf(fault) });
    }
    return undefined;
  }

  #handle(link: FakeLink, epoch: () => number): Link {
    const leave = (how: "closed" | "dropped"): void => {
      link.left ??= how;
      link.isOpen = false;
    };
    return {
      send: (text) => {
        link.received.push(text);
        if (this.isSilent || text !== "ping") return;
        queueMicrotask(() => {
          if (this.#resolver.takesPing(epoch())) link.say("pong");
          else link.end(4409);
        });
      },
      close: () => leave("closed"),
      drop: () => leave("dropped"),
    };
  }
}
