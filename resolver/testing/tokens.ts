import type { TokenKind } from "../../shared/tokens.ts";
import { type Access, bootstrapAccess, everything } from "../access.ts";
import type { NewAuditEntry } from "../audit.ts";
import type { TokenRecord } from "../token-table.ts";
import { hashOfToken, tokenFrom, tokenOctets } from "../token-text.ts";

/** A token made of the one octet, and its record. */
export async function makeToken(octet: number, changed: Partial<TokenRecord> = {}) {
  const { id, text } = tokenFrom(new Uint8Array(tokenOctets).fill(octet));
  const record: TokenRecord = {
    id,
    kind: "agent",
    owner: "team-a",
    scope: everything,
    hash: await hashOfToken(text),
    createdAt: 1_000,
    expiresAt: null,
    revokedAt: null,
    ...changed,
  };
  return { id, text, record };
}

export function accessOf(kind: TokenKind, changed: Partial<Access> = {}): Access {
  return { ...bootstrapAccess(kind), ...changed };
}

/** Something an admin did, unless `changed` says it was refused. */
export function auditEntry(changed: Partial<NewAuditEntry> = {}): NewAuditEntry {
  return {
    at: 1_000,
    actor: { tokenId: "bootstrap-admin", kind: "admin", owner: "operator" },
    action: "token-create",
    target: "abcdefghij",
    outcome: "done",
    code: null,
    detail: "agent of team-a, until revoked",
    count: 1,
    ...changed,
  };
}

export function refusedEntry(changed: Partial<NewAuditEntry> = {}): NewAuditEntry {
  return auditEntry({
    actor: null,
    action: "sign-in",
    target: "GET /v1/hosts",
    outcome: "refused",
    code: "unknown-token",
    detail: "this resolver did not give out that token",
    ...changed,
  });
}
