import { RRType } from "../../shared/dns/constants.ts";
import type { HttpFreshness } from "../../shared/dns/doh.ts";
import type { Response as DnsResponse } from "../../shared/dns/message.ts";

/** Milliseconds from when an answer came. */
export interface Lifetime {
  /** For which it is good; 0 or less when it was too old when it came. */
  goodMs: number;
  /** For which it may stand in after that, while no resolver answers (RFC 8767). */
  staleMs: number;
}

/** A port that is published anew at every start may be another service's soon (it has a TTL of a second); a fixed one stays. */
const longestEphemeralTtl = 1;
/** No longer may such a port be used that no resolver vouches for: by then it can be another program's. */
export const ephemeralStaleMs = 10_000;
const fixedStaleMs = 3_600_000;
/** RFC 8767 §4 asks for a limit. What changes more seldom costs one question an hour. */
const longestTtl = 3_600;
const longestNegativeTtl = 5;
/** The negative TTL of a resolver that sends no SOA. */
const usualNegativeTtl = 1;

/**
 * How long an answer may be kept: for its TTL, or as long as HTTP lets it when that is shorter, less the time it spent in HTTP caches
 * (RFC 8484 §5.1). A negative answer never stands in for a later one.
 */
export function lifetimeOf(response: DnsResponse, http: HttpFreshness): Lifetime {
  const isNegative = response.rcode !== 0 || response.answer.length === 0;
  const ttl = isNegative ? negativeTtl(response) : positiveTtl(response);
  return lifetimeFrom(isNegative ? Math.min(ttl, longestNegativeTtl) : ttl, http, isNegative);
}

/** The same for what has no TTL but `ttl`, in seconds. */
export function lifetimeFrom(ttl: number, http: HttpFreshness, isNegative: boolean): Lifetime {
  const { age, maxAge = ttl } = http;
  const seconds = Math.min(ttl, maxAge, longestTtl);
  if (seconds === 0) return { goodMs: 0, staleMs: 0 };
  const staleMs = ttl > longestEphemeralTtl ? fixedStaleMs : ephemeralStaleMs;
  return { goodMs: (seconds - age) * 1000, staleMs: isNegative ? 0 : staleMs };
}

/** Of the RRs asked for, and of the addresses that came with them. */
function positiveTtl({ answer, additional }: DnsResponse): number {
  const addresses = additional.filter(({ rdata }) => "address" in rdata);
  // Not by spreading: there may be thousands.
  return [...answer, ...addresses].reduce((least, { ttl }) => Math.min(least, ttl), longestTtl);
}

/** RFC 2308 §5. */
function negativeTtl({ authority }: DnsResponse): number {
  for (const { ttl, rdata } of authority) {
    if (rdata.type === RRType.SOA) return Math.min(ttl, rdata.soa.minimum);
  }
  return usualNegativeTtl;
}
