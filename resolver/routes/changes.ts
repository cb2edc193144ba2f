import type { Context, Handler } from "hono";

import { eventStreamType } from "../../shared/changes.ts";
import { BerthError } from "../../shared/errors.ts";
import type { Access } from "../access.ts";
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
  let feeds = 0;
  return async (context) => {
    const headers = {
      "content-type": eventStreamType,
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    };
    // Nobody would read the feed, nor close it.
    if (context.req.raw.method === "HEAD") return context.body(null, 200, headers);
    if (feeds >= maxFeeds) throw tooManyFeeds(maxFeeds);
    feeds++;
    const ended = new AbortController();
    // Before anything is waited for: a token that is revoked meanwhile opens no feed.
    const callOff = accessEnds?.(context.get("access"), () => ended.abort());
    const onClose = (): void => {
      feeds--;
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

function tooManyFeeds(limit: number): BerthError {
  const message = `${limit} readers follow the changes already; try again later`;
  return new BerthError("too-many-feeds", message, { retryable: true });
}
