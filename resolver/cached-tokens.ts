import type { Access } from "./access.ts";
import { hashOfToken, maxTokenLength } from "./token-text.ts";
import type { TokenCheck } from "./tokens.ts";

export interface CachedTokenCheckParts {
  /** How long a verdict may be used again: a revoked token goes on being good for lookups that long. */
  positiveMs: number;
  now: () => number;
  /** How many verdicts are kept; the oldest give way. */
  maxEntries?: number;
}

/**
 * A check whose positive verdicts are used again for a while, for lookups on a runtime where each check is an exchange with another
 * machine. Never for the lists or for writes: there a revocation counts at once. A refusal is never kept, so a new token works at once.
 */
export function createCachedTokenCheck(
  inner: TokenCheck,
  { positiveMs, now, maxEntries = 1000 }: CachedTokenCheckParts,
): TokenCheck {
  // By hash: whatever shows this memory shows no token.
  const verdicts = new Map<string, { access: Access; until: number }>();

  function keep(hash: string, access: Access): void {
    const oldest = verdicts.keys().next();
    if (verdicts.size >= maxEntries && !oldest.done) verdicts.delete(oldest.value);
    verdicts.set(hash, {
      access,
      until: Math.min(now() + positiveMs, access.expiresAt ?? Number.POSITIVE_INFINITY),
    });
  }

  return {
    async check(text) {
      if (text.length > maxTokenLength) return inner.check(text);
      const hash = await hashOfToken(text);
      const known = verdicts.get(hash);
      if (known !== undefined && now() < known.until) return known.access;
      verdicts.delete(hash);
      const access = await inner.check(text);
      keep(hash, access);
      return access;
    },
  };
}
