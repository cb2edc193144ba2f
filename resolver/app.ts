import { type Context, type Handler, Hono, type MiddlewareHandler } from "hono";
import { routePath } from "hono/route";

import { BerthError, describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { displayName } from "../shared/name.ts";
import type { Access } from "./access.ts";
import type { Apex } from "./answer.ts";
import type { AuditLog } from "./audit.ts";
import { replyToFault } from "./faults.ts";
import { entryOfRefusal, type RefusalAudit } from "./refusal-audit.ts";
import type { AccessEnv } from "./routes/admin-only.ts";
import { auditRoutes } from "./routes/audit.ts";
import { type BackupPort, backupRoutes } from "./routes/backup.ts";
import { hostsRoutes } from "./routes/hosts.ts";
import { bearerToken, loggablePath, lookupRoutes } from "./routes/lookup.ts";
import { namesRoutes } from "./routes/names.ts";
import { type ObservedParts, observedRoutes } from "./routes/observed.ts";
import { openListRoutes } from "./routes/open-lists.ts";
import { tokensRoutes } from "./routes/tokens.ts";
import type { BindingStore } from "./store.ts";
import type { TokenTable } from "./token-table.ts";
import type { TokenCheck } from "./tokens.ts";
import type { ZoneReader } from "./zone/zone.ts";

export interface AppParts extends ObservedParts {
  store: BindingStore;
  /** Where DNS answers are read: the store itself, or a copy in front of it. */
  zone: ZoneReader;
  apex: Apex;
  tokens: TokenCheck;
  /** Nobody looks a name up without a token. */
  lookupsNeedToken?: boolean;
  /** The check for lookups, which may remember a verdict for a moment; `tokens` unless there is one. */
  lookupTokens?: TokenCheck;
  acceptsLocal: (request: Request) => boolean;
  /** The tokens an admin gives out and takes back. */
  tokenTable: TokenTable;
  audit: AuditLog;
  /** Where refused requests are noted, to be written down together. */
  refusals: Pick<RefusalAudit, "note">;
  /** Readers of what changes; missing where the runtime has none. */
  changes?: Handler<AccessEnv>;
  /** Copies of the whole registry; missing where the store has none of its own. */
  backup?: BackupPort;
  /** Milliseconds since 1970. */
  now: () => number;
  /** The path a reverse proxy takes off in front of /v1: hosts sign the path they ask for. "" without one. */
  publicPath?: string;
  log: Log;
}

export type ResolverApp = Hono<AccessEnv>;

/** The whole resolver as one web app. Lookups, and the lists they begin with, are open to whoever can reach it unless they need a token; all else below /v1 needs one. */
export function createApp(parts: AppParts): ResolverApp {
  const app = new Hono<AccessEnv>();
  const lookupParts = { ...parts, tokens: parts.lookupTokens ?? parts.tokens };
  app.route("/", lookupRoutes(lookupParts));
  app.route("/", openListRoutes(lookupParts));
  app.get("/healthz", async (context) => {
    const { stale } = await parts.zone.read(parts.apex.zone, true);
    return context.json({ status: stale ? "stale" : "ok", zone: displayName(parts.apex.zone) });
  });
  app.route("/v1", apiRoutes(parts));
  const replyTo = (fault: unknown, context: Context<AccessEnv>): Response => {
    noteRefusal(parts, fault, context);
    return replyToFault(fault, () => {
      const { method, url } = context.req;
      parts.log.error(`${method} ${loggablePath(new URL(url).pathname)}: ${describeFault(fault)}`);
    });
  };
  app.notFound((context) => replyTo(new BerthError("not-found", "nothing is served at this path"), context));
  app.onError(replyTo);
  return app;
}

function apiRoutes(parts: AppParts): Hono<AccessEnv> {
  return new Hono<AccessEnv>()
    .use(requireToken(parts.tokens))
    .route("/hosts", hostsRoutes(parts))
    .route("/names", namesRoutes(parts))
    .route("/tokens", tokensRoutes(parts))
    .route("/audit", auditRoutes(parts))
    .route("/backup", backupRoutes(parts))
    .route("/observed", observedRoutes(parts))
    .get("/services", async (context) => context.json(await parts.store.services()))
    .get("/changes", parts.changes ?? noFeed);
}

function noFeed(): never {
  throw new BerthError("not-supported", "this resolver has no change feed");
}

/** By the route's pattern and not its path, which can hold a token. */
function noteRefusal({ refusals, now }: AppParts, fault: unknown, context: Context<AccessEnv>): void {
  const access: Access | undefined = context.get("access");
  const { method } = context.req;
  const request = { method, route: routePath(context, -1), params: context.req.param(), access };
  const entry = entryOfRefusal(fault, request, Math.floor(now()));
  if (entry !== undefined) refusals.note(entry);
}

function requireToken(tokens: TokenCheck): MiddlewareHandler<AccessEnv> {
  return async (context, next) => {
    const token = bearerToken(context.req.raw.headers);
    if (token === undefined) throw new BerthError("unknown-token", 'send "authorization: Bearer <token>"');
    const access = await tokens.check(token);
    context.set("access", access);
    if (access.kind === "reader" && !["GET", "HEAD"].includes(context.req.method)) {
      throw new BerthError("token-not-allowed", "a reader token may not write; an agent's token may");
    }
    await next();
  };
}
