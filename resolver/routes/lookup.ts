import { type Context, Hono, type MiddlewareHandler } from "hono";

import { dohPath } from "../../shared/dns/doh.ts";
import { BerthError } from "../../shared/errors.ts";
import type { TokenCheck } from "../tokens.ts";
import { type DnsQueryParts, dnsQuery } from "./dns-query.ts";

export interface LookupParts extends DnsQueryParts {
  tokens: TokenCheck;
  /** Nobody looks a name up without a token. */
  lookupsNeedToken?: boolean;
}

/** For clients that can be given a URL and nothing else: the token is a part of the path, which therefore no log may show. */
const tokenPath = `/t/:token${dohPath}`;

/**
 * DoH at /dns-query, open or for bearers of a token of any kind, and at /t/TOKEN/dns-query, where the token is judged either way.
 * What cannot stand in a path segment is percent-encoded there.
 */
export function lookupRoutes(parts: LookupParts): Hono {
  const answer = dnsQuery(parts);
  const ifNeeded = mayLookUp(parts, `, or ask at /t/<token>${dohPath}`);
  const ofPath = requireToken(parts.tokens, ({ req }) => req.param("token"));
  const refuseMethod = (): never => {
    throw new BerthError("method-not-allowed", "DoH is asked by GET or POST (RFC 8484 §4.1)");
  };
  return new Hono()
    .on(["GET", "POST"], dohPath, ifNeeded, answer)
    .on(["GET", "POST"], tokenPath, ofPath, answer)
    .all(dohPath, refuseMethod)
    .all(tokenPath, refuseMethod);
}

/** Lets through whoever may look names up. `or` is what else there is than the header field. */
export function mayLookUp({ tokens, lookupsNeedToken }: LookupParts, or = ""): MiddlewareHandler {
  const ofBearer = requireToken(tokens, ({ req }) => bearerToken(req.raw.headers), or);
  return (context, next) => (lookupsNeedToken ? ofBearer(context, next) : next());
}

/**
 * The path as a log may show it: without the token that stands in it, and without what follows, which is a part of the token where its
 * slashes were not encoded. By the text, because a fault may come before any routing.
 */
export function loggablePath(pathname: string): string {
  return pathname.replace(/(\/(?:t|%74)\/).+/i, "$1...");
}

/** What a request presents as RFC 6750 has it; undefined when it presents nothing, or nothing that could be a token. */
export function bearerToken(headers: Headers): string | undefined {
  return /^Bearer ([\w.~+/=-]+)$/i.exec(headers.get("authorization") ?? "")?.[1];
}

function requireToken(
  tokens: TokenCheck,
  tokenOf: (context: Context) => string | undefined,
  or = "",
): MiddlewareHandler {
  return async (context, next) => {
    const token = tokenOf(context);
    if (token === undefined) {
      const mend = `send "authorization: Bearer <token>"${or}`;
      throw new BerthError("unknown-token", `lookups need a token here: ${mend}`);
    }
    await tokens.check(token);
    await next();
  };
}
