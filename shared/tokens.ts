import { z } from "zod";

import { hostIdSchema, labelSchema } from "./binding.ts";

/** An agent pushes its host's set and reads the lists; a reader looks names up and reads the lists; an admin does all, for any host. */
export const tokenKinds = ["agent", "reader", "admin"] as const;
export type TokenKind = (typeof tokenKinds)[number];

const patternSchema = z
  .string()
  .max(200)
  .regex(
    /^(\*|(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)$/,
    "a name pattern is a name relative to the zone, such as web.shop, or *.shop for every name below shop, or *",
  );

export const tokenScopeSchema = z.strictObject({
  /** Name patterns relative to the zone; none: every name. A host's own names need no pattern. */
  names: z.array(patternSchema).max(100).default([]),
  /** Declared host labels or host ids; none: every host. */
  hosts: z
    .array(z.union([hostIdSchema, labelSchema]))
    .max(1000)
    .default([]),
  /** Bindings of all its hosts together, names held for it included; null: no bound. */
  maxBindings: z.int().min(1).max(10_000_000).nullable().default(null),
  /** Seconds; null: the resolver's own bound. */
  maxLease: z.int().min(5).max(3600).nullable().default(null),
});
/** What an agent's token may declare. Empty lists and nulls bound nothing. */
export type TokenScope = z.infer<typeof tokenScopeSchema>;

export const ownerSchema = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$/,
    "an owner is up to 64 lower-case letters, digits, dots, hyphens and underscores, such as team-a",
  );

/** The body of `POST /v1/tokens`. */
export const newTokenSchema = z.strictObject({
  kind: z.enum(tokenKinds),
  /** Whose names an agent with this token holds; for people in the other kinds. */
  owner: ownerSchema,
  scope: tokenScopeSchema.prefault({}),
  /** Seconds from now; null: until it is revoked. */
  expiresIn: z.int().min(1).max(315_360_000).nullable().default(null),
});
export type NewToken = z.input<typeof newTokenSchema>;

export const tokenViewSchema = z.object({
  id: z.string(),
  kind: z.enum(tokenKinds),
  owner: z.string(),
  scope: tokenScopeSchema,
  /** Milliseconds since 1970. */
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  revokedAt: z.number().nullable(),
});
/** A created token as lists show it: never the token itself. */
export type TokenView = z.infer<typeof tokenViewSchema>;

export const tokenListSchema = z.object({ tokens: z.array(tokenViewSchema) });
export type TokenList = z.infer<typeof tokenListSchema>;

/** The reply to `POST /v1/tokens`: the only time the token itself is seen. */
export const createdTokenSchema = tokenViewSchema.extend({ token: z.string() });
export type CreatedToken = z.infer<typeof createdTokenSchema>;
