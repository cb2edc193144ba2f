import { type Context, Hono, type MiddlewareHandler } from "hono";

import { dohPath } from "../shared/dns/doh.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { displayName } from "../shared/name.ts";
import type { Apex } from "./answer.ts";
import { dnsQuery } from "./routes/dns-query.ts";
import { hostsRoutes } from "./routes/hosts.ts";
import type { BindingStore } from "./store.ts";
import type { TokenCheck } from "./tokens.ts";
import type { ZoneReader } from "./zone/zone.ts";

export interface AppParts {
  store: BindingStore;
  /** Where DNS answers are read: the store itself, or a copy in front of it. */
  zone: ZoneReader;
  apex: Apex;
  tokens: TokenCheck;
  acceptsLocal: (request: Request) => boolean;
  log: Log;
}

/** The whole resolver as one web app. Lookups are open to whoever can reach it; the lists and every write need a token. */
export function createApp(parts: AppParts): Hono {
  const app = new Hono();
  app.on(["GET", "POST"], dohPath, dnsQuery(parts));
  app.all(dohPath, () => {
    throw new BerthError("method-not-allowed", "DoH is asked by GET or POST (RFC 8484 §4.1)");
  });
  app.get("/healthz", async (context) => {
    await parts.zone.read(parts.apex.zone, true);
    return context.json({ status: "ok", zone: displayName(parts.apex.zone) });
  });
  app.use("/v1/*", requireToken(parts.tokens));
  app.route("/v1/hosts", hostsRoutes(parts));
  app.get("/v1/services", async (context) => context.json(await parts.store.services()));
  app.notFound((context) =>
    faultReply(context, new BerthError("not-found", "nothing is served at this path")),
  );
  app.onError((fault, context) => {
    if (fault instanceof BerthError && fault.code in statusByCode) return faultReply(context, fault);
    parts.log.error(`${context.req.method} ${new URL(context.req.url).pathname}: ${describeFault(fault)}`);
    return faultReply(context, new BerthError("internal", "the resolver failed; its log says how"));
  });
  return app;
}

/** The one table from a fault's code to its HTTP status. */
const statusByCode = {
  "malformed-message": 400,
  "malformed-json": 400,
  "unknown-token": 401,
  "token-not-allowed": 403,
  "local-host-refused": 403,
  "not-found": 404,
  "unknown-host": 404,
  "method-not-allowed": 405,
  "unknown-digest": 409,
  superseded: 409,
  "body-too-large": 413,
  "bad-content-type": 415,
  "invalid-body": 422,
  internal: 500,
} as const;

function faultReply(context: Context, fault: BerthError): Response {
  const status = statusByCode[fault.code as keyof typeof statusByCode];
  if (status === 401) context.header("www-authenticate", "Bearer");
  if (status === 405) context.header("allow", "GET, POST");
  return context.json({ error: { code: fault.code, message: fault.message, ...fault.facts } }, status);
}

function requireToken(tokens: TokenCheck): MiddlewareHandler {
  return async (context, next) => {
    const token = /^Bearer ([\w.~+/=-]+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
    const role = token === undefined ? undefined : await tokens.roleOf(token);
    if (role === undefined) {
      const message =
        token === undefined
          ? 'send "authorization: Bearer <token>"'
          : "this resolver did not give out that token";
      throw new BerthError("unknown-token", message);
    }
    if (role !== "agent" && !["GET", "HEAD"].includes(context.req.method)) {
      throw new BerthError("token-not-allowed", "a reader token may not write; an agent's token may");
    }
    await next();
  };
}
