import { Hono } from "hono";

import type { TokenKind } from "../../shared/tokens.ts";
import { bootstrapAccess } from "../access.ts";
import { replyToFault } from "../faults.ts";
import type { AccessEnv } from "../routes/admin-only.ts";

/** Routes as app.ts mounts them, asked with a token of `kind`; a fault nobody foresaw fails the test with its own message. */
export function mountFor(kind: TokenKind, path: string, routes: Hono<AccessEnv>): Hono<AccessEnv> {
  return new Hono<AccessEnv>()
    .use(async (context, next) => {
      context.set("access", bootstrapAccess(kind));
      await next();
    })
    .route(path, routes)
    .onError((fault) =>
      replyToFault(fault, (unforeseen) => {
        throw unforeseen;
      }),
    );
}
