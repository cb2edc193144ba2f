import { type Context, Hono } from "hono";

import type { Address } from "../../shared/address.ts";
import { BerthError } from "../../shared/errors.ts";
import { observedFrom } from "../observed-address.ts";
import type { AccessEnv } from "./admin-only.ts";

export interface ObservedParts {
  /** The other end of a request's connection, as the runtime writes it; missing where it does not tell. */
  peerOf?: (context: Context) => string | undefined;
  /** Whose X-Forwarded-For is believed. None unless told. */
  trustedProxies?: readonly Address[];
}

/** GET /v1/observed: for an agent behind NAT, which cannot know the address it is seen by. */
export function observedRoutes({ peerOf, trustedProxies = [] }: ObservedParts): Hono<AccessEnv> {
  return new Hono<AccessEnv>().get("/", (context) => {
    const { kind } = context.get("access");
    if (kind !== "agent") {
      const message = `a token of kind ${kind} speaks for no host; an agent's token does`;
      throw new BerthError("token-not-allowed", message);
    }
    const origin = { peer: peerOf?.(context), forwardedFor: context.req.header("x-forwarded-for") };
    const address = observedFrom(origin, trustedProxies);
    // What somebody else asked from is nobody's business, and no cache's.
    return context.json({ address }, 200, { "cache-control": "no-store" });
  });
}
