import { Hono } from "hono";
import { z } from "zod";

import type { AuditList } from "../../shared/audit.ts";
import type { AuditLog } from "../audit.ts";
import { type AccessEnv, adminOnly } from "./admin-only.ts";
import { invalidBody } from "./body.ts";

const querySchema = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  /** The lowest id of a page, to get the page before it. */
  before: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
});

/** Who changed what, and who was turned away, mounted at /v1/audit. */
export function auditRoutes({ audit }: { audit: Pick<AuditLog, "list"> }): Hono<AccessEnv> {
  return new Hono<AccessEnv>().use(adminOnly).get("/", async (context) => {
    const query = querySchema.safeParse(context.req.query());
    if (!query.success) {
      throw invalidBody(query.error.issues.map(({ path, message }) => ({ path: path.join("."), message })));
    }
    const { limit, before } = query.data;
    return context.json({ entries: await audit.list(limit, before) } satisfies AuditList);
  });
}
