import { z } from "zod";

import { tokenKinds } from "./tokens.ts";

/** What changes the registry, or what it holds. */
export const changeActions = [
  "push",
  "withdraw",
  "lapse",
  "release",
  "token-create",
  "token-revoke",
  "backup",
  "restore",
] as const;
export type ChangeAction = (typeof changeActions)[number];

export const auditActorSchema = z.object({
  tokenId: z.string(),
  kind: z.enum(tokenKinds),
  owner: z.string(),
});

export const auditEntrySchema = z.object({
  /** Grows from entry to entry. Not without gaps: old entries are forgotten. */
  id: z.number(),
  /** Milliseconds since 1970; of the first one where `count` are told in one. */
  at: z.number(),
  /** Who did it or tried to; null for nobody (a lease that ran out) and for somebody without a token that counts. */
  actor: auditActorSchema.nullable(),
  /** `sign-in`: the token or the signature was refused; `request`: the token may not do that. */
  action: z.enum([...changeActions, "sign-in", "request"]),
  /** The host id, name or token id it was done to; of something refused the request, or the token that is no longer valid. */
  target: z.string(),
  outcome: z.enum(["done", "refused"]),
  /** The fault's code, for what was refused. */
  code: z.string().nullable(),
  /** For people. Never holds a token. */
  detail: z.string().max(300),
  /** How many times within a second. */
  count: z.number(),
});
/** One line of the record of who changed what, and who was turned away. */
export type AuditEntry = z.infer<typeof auditEntrySchema>;

/** What `GET /v1/audit` answers: the newest last. */
export const auditListSchema = z.object({ entries: z.array(auditEntrySchema) });
export type AuditList = z.infer<typeof auditListSchema>;
