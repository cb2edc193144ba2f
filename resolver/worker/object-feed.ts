import { Hono } from "hono";

import { changesPath } from "../../shared/changes.ts";
import { describeFault } from "../../shared/errors.ts";
import type { Access } from "../access.ts";
import { whenAccessEnds } from "../access-end.ts";
import { replyToFault } from "../faults.ts";
import type { AccessEnv } from "../routes/admin-only.ts";
import { type ChangesParts, changesFeed } from "../routes/changes.ts";
import type { TokenWatch } from "../token-table.ts";

export type ObjectFeedParts = Omit<ChangesParts, "timers" | "accessEnds"> & { watch: TokenWatch };

/** The change feed as the object serves it to the Worker in front, which has judged the token: `access` is whose it is. */
export function createObjectFeed({ watch, ...parts }: ObjectFeedParts) {
  const timers = { after: runAfter };
  const accessEnds = (access: Access, end: () => void) =>
    whenAccessEnds({ watch, timers, now: Date.now }, access, end);
  const feed = changesFeed({ ...parts, timers, accessEnds });
  return (request: Request, access: Access): Response | Promise<Response> => {
    const app = new Hono<AccessEnv>()
      .use((context, next) => {
        context.set("access", access);
        return next();
      })
      .get(changesPath, feed);
    // Here, because a fault loses what it is on the way to the Worker.
    app.onError((fault) => replyToFault(fault, () => parts.log.error(`feed: ${describeFault(fault)}`)));
    return app.fetch(request);
  };
}

function runAfter(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
}
