import type { WebSocket } from "ws";

import type { PushReply } from "../../shared/binding.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { type Closing, closing } from "../link-protocol.ts";

/** What a link was opened for: a host's process, with the token it showed. `lease` is what was granted, in seconds. */
export interface Bound {
  hostId: string;
  epoch: number;
  tokenId: string;
  generation: string;
  lease: number;
}

export interface LinkParts {
  /** Prolongs the lease; false when the process the link is bound to does not speak for the host any more. */
  ping(bound: Bound): boolean | Promise<boolean>;
  /** The link counts no longer, though its connection may last until the client has answered. */
  ended(link: Link): void;
  log: Log;
  /** Frames in a second, and octets a client may leave unread. */
  limits: { frames: number; unread: number };
}

/** One open link. After `end` its pings prolong nothing. */
export interface Link {
  readonly bound: Bound;
  tell(news: PushReply): void;
  end(why: Closing): void;
}

/** Answers pings on `socket` until either side closes it, or no ping has come for three leases. */
export function createLink(socket: WebSocket, bound: Bound, parts: LinkParts): Link {
  const { ping, ended, log, limits } = parts;
  let lease = bound.lease;
  let idle = startIdle();
  let isOpen = true;
  const isWithinRate = rateLimit(limits.frames);
  const link: Link = {
    bound,
    tell(news) {
      if (news.lease !== lease) {
        lease = news.lease;
        clearTimeout(idle);
        idle = startIdle();
      }
      send(JSON.stringify(news));
    },
    end([code, reason]) {
      leave();
      socket.close(code, reason);
    },
  };

  function startIdle(): NodeJS.Timeout {
    return setTimeout(() => link.end(closing.idle), 3 * lease * 1000);
  }

  function leave(): void {
    if (!isOpen) return;
    isOpen = false;
    clearTimeout(idle);
    ended(link);
  }

  function send(text: string): void {
    if (socket.bufferedAmount <= limits.unread) socket.send(text);
    else {
      leave();
      socket.terminate();
    }
  }

  /** Pings of WebSocket itself count too: ws answers each. */
  function isFlood(): boolean {
    if (isWithinRate()) return false;
    if (isOpen) link.end(closing.flood);
    return true;
  }

  async function hear(text: string): Promise<void> {
    if (!isOpen) return;
    if (text !== "ping") return link.end(closing.unknownMessage);
    try {
      const isHeld = await ping(bound);
      if (!isOpen) return;
      if (!isHeld) return link.end(closing.superseded);
      idle.refresh();
      send("pong");
    } catch (fault) {
      if (!(fault instanceof BerthError)) log.error(`ping on a link: ${describeFault(fault)}`);
      link.end(closing.failed);
    }
  }

  socket.on("message", (message, isBinary) => {
    if (!isFlood()) void hear(isBinary ? "" : message.toString());
  });
  socket.on("ping", isFlood);
  socket.on("pong", isFlood);
  // What the client broke (size, framing, UTF-8), ws has closed by then.
  socket.on("error", (fault) => log.debug(`link of ${bound.hostId}: ${describeFault(fault)}`));
  socket.once("close", leave);
  return link;
}

/** Says of one event after the other whether there were at most `most` since the second began that it falls into. */
function rateLimit(most: number): () => boolean {
  let count = 0;
  let since = performance.now();
  return () => {
    const now = performance.now();
    if (now - since > 1000) {
      count = 0;
      since = now;
    }
    return ++count <= most;
  };
}
