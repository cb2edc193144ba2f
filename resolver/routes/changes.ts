import type { Context, Handler } from "hono";

import { eventStreamType } from "../../shared/changes.ts";
import { BerthError } from "../../shared/errors.ts";
import { tokenKinds } from "../../shared/tokens.ts";
import { type Access, bootstrapAccess } from "../access.ts";
import { ChangeEvents, type ChangeEventsParts, type Position, parseEventId } from "../change-events.ts";
import { openFeed } from "../change-feed.ts";
import type { AccessEnv } from "./admin-only.ts";

export interface ChangesParts extends ChangeEventsParts {
  /** Has `end` called when the token may read no more; returns what calls that off. */
  accessEnds?: (access: Access, end: () => void) => () => void;
  /** Feeds at one time; 1,000 unless said otherwise. */
  maxFeeds?: number;
}

/** `GET /v1/changes`: what there is, then what changes, as server-sent events for as long as the reader stays. */
export function changesFeed(parts: ChangesParts): Handler<AccessEnv> {
  const { changes, timers, accessEnds, maxFeeds = 1_000 } = parts;
  const events = new ChangeEvents(parts);
  const places = new FeedPlaces(maxFeeds);
  return async (context) => {
    const headers = {
      "content-type": eventStreamType,
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    };
    // Nobody would read the feed, nor close it.
    if (context.req.raw.method === "HEAD") return context.body(null, 200, headers);
    const leave = places.take(context.get("access"));
    const ended = new AbortController();
    // Before anything is waited for: a token that is revoked meanwhile opens no feed.
    const callOff = accessEnds?.(context.get("access"), () => ended.abort());
    const onClose = (): void => {
      leave();
      callOff?.();
    };
    try {
      const known = positionFrom(context);
      const isFromHere = known !== undefined && known.revision <= changes.revision;
      // Before the reply, so that a registry that cannot be read is a fault and no empty feed.
      const first = await events.next(isFromHere ? known : undefined);
      const from = known ?? { generation: changes.generation, revision: changes.revision };
      const ends = ended.signal;
      return context.body(
        openFeed({ changes, events, timers }, { from, first, ends, onClose }),
        200,
        headers,
      );
    } catch (fault) {
      onClose();
      throw fault;
    }
  };
}

/** Where the reader left off. A browser's EventSource can set the parameter only at first, and sends the header when it comes back. */
function positionFrom(context: Context): Position | undefined {
  const text = context.req.header("last-event-id") ?? context.req.query("last-event-id");
  return text === undefined ? undefined : parseEventId(text);
}

/** So many feeds and no more, of which one token may hold a tenth: a reader that leaks them must not shut the others out. */
class FeedPlaces {
  readonly #most: number;
  readonly #mostOfOne: number;
  readonly #byToken = new Map<string, number>();
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
    this.#mostOfOne = Math.max(1, Math.floor(most / 10));
  }

  /** Returns what gives the place back, to be called once. Throws `too-many-feeds`. */
  take({ tokenId }: Access): () => void {
    const own = this.#byToken.get(tokenId) ?? 0;
    if (this.#taken >= this.#most) throw tooManyFeeds(`${this.#most} readers follow`);
    // A bootstrap token is the whole household's, and the operator's.
    if (!isBootstrap(tokenId) && own >= this.#mostOfOne) {
      throw tooManyFeeds(`${own} readers with this token follow`);
    }
    this.#taken++;
    this.#byToken.set(tokenId, own + 1);
    return () => this.#leave(tokenId);
  }

  #leave(tokenId: string): void {
    this.#taken--;
    const left = (this.#byToken.get(tokenId) ?? 0) - 1;
    if (left > 0) this.#byToken.set(tokenId, left);
    else this.#byToken.delete(tokenId);
  }
}

function isBootstrap(tokenId: string): boolean {
  return tokenKinds.some((kind) => bootstrapAccess(kind).tokenId === tokenId);
}

function tooManyFeeds(who: string): BerthError {
  const message = `${who} the changes already; try again later`;
  return new BerthError("too-many-feeds", message, { retryable: true });
}
