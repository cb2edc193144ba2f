import type { MiddlewareHandler } from "hono";

import { BerthError } from "../../shared/errors.ts";
import type { Access } from "../access.ts";

/** What the token check in app.ts leaves for the routes below /v1. */
export interface AccessEnv {
  Variables: { access: Access };
}

/** Turns away everybody but admins, before anything of the request is read. */
export const adminOnly: MiddlewareHandler<AccessEnv> = async (context, next) => {
  const { kind } = context.get("access");
  if (kind === "admin") return next();
  throw new BerthError("token-not-allowed", `this takes an admin token; a token of kind ${kind} was sent`);
};
