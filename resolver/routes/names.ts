import { Hono } from "hono";

import { BerthError } from "../../shared/errors.ts";
import { displayName, type Name, nameSchema } from "../../shared/name.ts";
import type { NameList } from "../../shared/registry-views.ts";
import type { BindingStore } from "../store.ts";
import { type AccessEnv, adminOnly } from "./admin-only.ts";
import { invalidBody } from "./body.ts";

/** Who holds which name, mounted at /v1/names. Every token may read it; an admin's may free a name nobody serves. */
export function namesRoutes({ store }: { store: Pick<BindingStore, "names" | "releaseName"> }) {
  return new Hono<AccessEnv>()
    .get("/", async (context) => context.json((await store.names()) satisfies NameList))
    .delete("/:name/hold", adminOnly, async (context) => {
      const name = nameFrom(context.req.param("name"));
      const outcome = await store.releaseName(name, context.get("access"));
      if (outcome.kind === "released") return context.body(null, 204);
      if (outcome.kind === "not-held") throw notHeld(name);
      throw liveName(name, outcome.hostLabels);
    });
}

function nameFrom(text: string): Name {
  const parsed = nameSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw invalidBody([{ path: "name", message: parsed.error.issues[0]?.message ?? "wrong" }]);
}

function notHeld(name: Name): BerthError {
  return new BerthError("unknown-hold", `nobody holds ${displayName(name)}`);
}

function liveName(name: Name, hosts: string[]): BerthError {
  // A name of many replicas: the message stays one line, the fact has them all.
  const shown = hosts.slice(0, 5).join(", ") + (hosts.length > 5 ? ` and ${hosts.length - 5} more` : "");
  const message = `${displayName(name)} is served by ${shown}; a name is freed when nobody serves it`;
  return new BerthError("name-live", message, { facts: { hosts } });
}
