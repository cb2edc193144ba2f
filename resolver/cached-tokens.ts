import { BerthError } from "../shared/errors.ts";
import type { Access } from "./access.ts";
import { hashOfToken, maxTokenLength } from "./token-text.ts";
import type { TokenCheck } from "./tokens.ts";

export interface CachedTokenCheckParts {
  /** How long a verdict may be used again: a revoked token goes on being good for lookups that long. */
  positiveMs: number;
  /** How long after it was given a verdict may stand in while the check behind this one cannot reach its store. */
  outageMs: number;
  now: () => number;
  /** How many verdicts are kept; the oldest give way. */
  maxEntries?: number;
}

/**
 * A check whose positive verdicts are used again for a while, for lookups on a runtime where each check is an exchange with another
 * machine. Never for the lists or for writes: there a revocation counts at once. A refusal is never kept, so a new token works at once;
 * and it ends the verdict there was, also for an outage that follows.
 */
export function createCachedTokenCheck(
  inner: TokenCheck,
  { positiveMs, outageMs, now, maxEntries = 1000 }: CachedTokenCheckParts,
): TokenCheck {
  // By hash: whatever shows this memory shows no token.
  const verdicts = new Map<string, Verdict>();

  function keep(hash: string, access: Access): void {
    verdicts.delete(hash);
    const oldest = verdicts.keys().next();
    if (verdicts.size >= maxEntries && !oldest.done) verdicts.delete(oldest.value);
    const end = access.expiresAt ?? Number.POSITIVE_INFINITY;
    const until = Math.min(now() + positiveMs, end);
    verdicts.set(hash, { access, until, untilInOutage: Math.min(now() + outageMs, end) });
  }

  function accessInOutage(hash: string, fault: unknown): Access {
    // Looked up only now: another check may have heard of a revocation while this one waited.
    const known = verdicts.get(hash);
    if (known !== undefined && isOutage(fault) && now() < known.untilInOutage) return known.access;
    if (!isOutage(fault)) verdicts.delete(hash);
    throw fault;
  }

  return {
    async check(text) {
      if (text.length > maxTokenLength) return inner.check(text);
      const hash = await hashOfToken(text);
      const known = verdicts.get(hash);
      if (known !== undefined && now() < known.until) return known.access;
      try {
        const access = await inner.check(text);
        keep(hash, access);
        return access;
      } catch (fault) {
        return accessInOutage(hash, fault);
      }
    },
  };
}

interface Verdict {
  access: Access;
  until: number;
  untilInOutage: number;
}

function isOutage(fault: unknown): boolean {
  return fault instanceof BerthError && fault.code === "store-unavailable";
}
