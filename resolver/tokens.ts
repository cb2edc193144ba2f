import { BerthError } from "../shared/errors.ts";
import { type TokenKind, tokenKinds } from "../shared/tokens.ts";
import { type Access, bootstrapAccess } from "./access.ts";
import type { TokenRecord, TokenTable } from "./token-table.ts";
import { hashOfToken, isSameHash, maxTokenLength, tokenIdOf } from "./token-text.ts";

export interface TokenCheck {
  /**
   * Whom a token stands for. Throws a BerthError `unknown-token`, `token-expired` or `token-revoked` (the last two only to who shows the
   * right secret; their `who` is `token <id>`), and whatever the table throws when it cannot be read.
   */
  check(text: string): Promise<Access>;
}

export interface TokenCheckParts {
  /** The tokens an operator keeps in files or secrets, by kind. They work even when the table cannot be read. */
  bootstrap: Partial<Record<TokenKind, string>>;
  table: Pick<TokenTable, "find">;
  now: () => number;
}

/** Compared where there is nothing to compare with. No text is known to have this hash. */
const noHash = "0".repeat(64);

/**
 * Tokens are compared by their SHA-256, all of them to the end, so that the time taken tells neither how much of a guess was right nor
 * which bootstrap tokens there are. Throws a BerthError `bad-config` for bootstrap tokens that could not work.
 */
export function createTokenCheck({ bootstrap, table, now }: TokenCheckParts): TokenCheck {
  refuseUnusable(bootstrap);
  const known = Promise.all(
    tokenKinds.map(async (kind) => {
      const text = bootstrap[kind];
      return { kind, hash: text === undefined ? noHash : await hashOfToken(text) };
    }),
  );
  return {
    async check(text) {
      if (text.length > maxTokenLength) throw unknownToken();
      const hash = await hashOfToken(text);
      const own = (await known).filter((candidate) => isSameHash(candidate.hash, hash))[0];
      if (own !== undefined) return bootstrapAccess(own.kind);
      const id = tokenIdOf(text);
      const record = id === undefined ? undefined : await table.find(id);
      const isRight = isSameHash(record?.hash ?? noHash, hash);
      if (record === undefined || !isRight) throw unknownToken();
      return accessOf(record, now());
    },
  };
}

function refuseUnusable(bootstrap: Partial<Record<TokenKind, string>>): void {
  const texts = Object.values(bootstrap);
  if (texts.some((text) => text.length > maxTokenLength)) {
    throw new BerthError(
      "bad-config",
      `a bootstrap token has over ${maxTokenLength} characters; use a shorter one`,
    );
  }
  if (new Set(texts).size < texts.length) {
    const message =
      "two of the agent, reader and admin bootstrap tokens are the same text; give each kind its own";
    throw new BerthError("bad-config", message);
  }
}

/** Whom a created token stands for. Throws a BerthError `token-revoked` or `token-expired`. */
export function accessOf(record: TokenRecord, now: number): Access {
  const { id, kind, owner, scope, expiresAt, revokedAt } = record;
  const mend = "ask whoever runs the resolver for a new one";
  const options = { who: `token ${id}` };
  if (revokedAt !== null) {
    throw new BerthError(
      "token-revoked",
      `token ${id} was revoked at ${timeText(revokedAt)}; ${mend}`,
      options,
    );
  }
  if (expiresAt !== null && expiresAt <= now) {
    throw new BerthError("token-expired", `token ${id} expired at ${timeText(expiresAt)}; ${mend}`, options);
  }
  return { tokenId: id, kind, owner, scope, ...(expiresAt === null ? {} : { expiresAt }) };
}

/** For a token nobody gave out, or none that is still known. */
export function unknownToken(): BerthError {
  const mend =
    "check that it was copied whole, and that it is this resolver's; whoever runs it can give you one";
  return new BerthError("unknown-token", `this resolver did not give out that token; ${mend}`);
}

function timeText(at: number): string {
  return new Date(at).toISOString();
}
