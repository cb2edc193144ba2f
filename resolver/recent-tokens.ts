import type { Access } from "./access.ts";
import type { TokenCheck } from "./tokens.ts";

/** A revoked token looks names up no longer than this. */
const keepMs = 500;
const mostKept = 1_000;

/**
 * A check whose good verdicts stand for half a second, for lookups: hashing the token anew would cost as much as the answer does. By the
 * text itself, which says nothing to who guesses: a Map finds a whole text or none. A refusal is never kept, so a new token works at once.
 */
export function createRecentTokenCheck(inner: TokenCheck, now: () => number): TokenCheck {
  const recent = new Map<string, { access: Access; until: number }>();

  async function checkAnew(text: string): Promise<Access> {
    recent.delete(text);
    const access = await inner.check(text);
    for (const [oldest] of recent) {
      if (recent.size < mostKept) break;
      recent.delete(oldest);
    }
    const until = Math.min(now() + keepMs, access.expiresAt ?? Number.POSITIVE_INFINITY);
    recent.set(text, { access, until });
    return access;
  }

  return {
    async check(text) {
      const known = recent.get(text);
      return known !== undefined && now() < known.until ? known.access : checkAnew(text);
    },
  };
}
