import { Hono } from "hono";

import { BerthError } from "../../shared/errors.ts";
import {
  type CreatedToken,
  newTokenSchema,
  type TokenList,
  type TokenScope,
  type TokenView,
} from "../../shared/tokens.ts";
import { everything } from "../access.ts";
import { entryOfTokenCreated, entryOfTokenRevoked } from "../audit.ts";
import type { TokenRecord, TokenTable } from "../token-table.ts";
import { hashOfToken, tokenFrom, tokenOctets } from "../token-text.ts";
import { type AccessEnv, adminOnly } from "./admin-only.ts";
import { invalidBody, readJsonBody } from "./body.ts";

export interface TokensParts {
  tokenTable: TokenTable;
  now: () => number;
  /** That many octets nobody can guess. */
  random?: (octets: number) => Uint8Array;
}

/** Room for a scope of 1,000 host ids and 100 names. */
const maxBodyLength = 256 * 1024;

/** The tokens an admin gives out and takes back, mounted at /v1/tokens. Faults are thrown; app.ts turns them into replies. */
export function tokensRoutes({ tokenTable, now, random = randomOctets }: TokensParts): Hono<AccessEnv> {
  return new Hono<AccessEnv>()
    .use(adminOnly)
    .get("/", async (context) => {
      const tokens = (await tokenTable.list()).map(viewOf);
      return context.json({ tokens } satisfies TokenList);
    })
    .post("/", async (context) => {
      const body = await readJsonBody(context.req.raw, newTokenSchema, maxBodyLength);
      if (body.kind !== "agent") refuseScope(body.scope);
      const { id, text } = tokenFrom(random(tokenOctets));
      const createdAt = Math.floor(now());
      const { expiresIn, ...rest } = body;
      const expiresAt = expiresIn === null ? null : createdAt + expiresIn * 1000;
      const hash = await hashOfToken(text);
      const record: TokenRecord = { id, ...rest, hash, createdAt, expiresAt, revokedAt: null };
      await tokenTable.put(record, entryOfTokenCreated(context.get("access"), record));
      // The reply is the one place the token is ever seen: no cache may keep it.
      context.header("cache-control", "no-store");
      return context.json({ ...viewOf(record), token: text } satisfies CreatedToken, 201);
    })
    .delete("/:id", async (context) => {
      const id = context.req.param("id");
      const record = await tokenTable.find(id);
      if (record === undefined) throw unknownId(id);
      const at = Math.floor(now());
      const isKnown = await tokenTable.revoke(id, at, entryOfTokenRevoked(context.get("access"), record, at));
      if (!isKnown) throw unknownId(id);
      return context.body(null, 204);
    });
}

/** Readers and admins are not bounded by a scope: one that is written down but does nothing would be a false promise. */
function refuseScope(scope: TokenScope): void {
  if (JSON.stringify(scope) === JSON.stringify(everything)) return;
  const message = "only an agent's token has a scope; leave it out";
  throw invalidBody([{ path: "scope", message }]);
}

/** Never with the id that was sent: somebody may have sent the token itself. */
function unknownId(id: string): BerthError {
  const message = id.startsWith("bootstrap-")
    ? "a bootstrap token is not revoked here: remove its file from the resolver's state directory (or the Worker's secret) and restart"
    : "there is no token of that id; GET /v1/tokens lists them";
  return new BerthError("unknown-token-id", message);
}

function viewOf({ hash: _, ...view }: TokenRecord): TokenView {
  return view;
}

function randomOctets(octets: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(octets));
}
