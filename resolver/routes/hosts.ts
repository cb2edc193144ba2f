import { type Context, Hono } from "hono";
import type { z } from "zod";

import { isLoopback } from "../../shared/address.ts";
import { hostIdSchema, type Push, pushSchema, renewalSchema } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import { BerthError } from "../../shared/errors.ts";
import type { BindingStore, TurnOutcome } from "../store.ts";

/** Room for 20,000 bindings; a request past it is a mistake or an attack. */
const maxBodyLength = 16 * 1024 * 1024;

export interface HostsParts {
  store: BindingStore;
  /** Whether clients of this resolver are all on this machine, so that loopback addresses mean something to them. */
  acceptsLocal: (request: Request) => boolean;
}

/** The push API, mounted at /v1/hosts. Faults are thrown; app.ts turns them into replies. */
export function hostsRoutes({ store, acceptsLocal }: HostsParts): Hono {
  return new Hono()
    .get("/", async (context) => context.json(await store.hosts()))
    .put("/:hostId", async (context) => {
      const hostId = hostIdOf(context);
      const push = await readBody(context, pushSchema);
      await checkPush(push, acceptsLocal(context.req.raw));
      return reply(context, await store.push(hostId, push));
    })
    .put("/:hostId/lease", async (context) => {
      const hostId = hostIdOf(context);
      return reply(context, await store.renew(hostId, await readBody(context, renewalSchema)));
    })
    .delete("/:hostId", async (context) => {
      if (await store.withdraw(hostIdOf(context))) return context.body(null, 204);
      throw new BerthError("unknown-host", "nothing is held for this host");
    });
}

async function checkPush(push: Push, acceptsLocal: boolean): Promise<void> {
  if ((await digestOf(push.declared)) !== push.digest) {
    throw invalid([{ path: "digest", message: "is not the SHA-256 of the declared set's canonical form" }]);
  }
  if (push.declared.local !== push.declared.addresses.every(isLoopback)) {
    throw invalid([
      { path: "declared.local", message: "is true exactly when all addresses are loopback ones" },
    ]);
  }
  if (push.declared.addresses.some(isLoopback) && !acceptsLocal) {
    const mend = "start the agent with --advertise <an address its clients can reach>";
    const message = `loopback addresses mean nothing to this resolver's clients on other machines; ${mend}`;
    throw new BerthError("local-host-refused", message);
  }
}

function reply(context: Context, outcome: TurnOutcome): Response {
  switch (outcome.kind) {
    case "accepted":
      return context.json(outcome.reply);
    case "unknown-digest":
      throw new BerthError("unknown-digest", "this resolver does not hold that set; push the whole set");
    case "superseded": {
      const { heldEpoch, leaseRemaining } = outcome;
      const message = `another process pushes for this host (epoch ${heldEpoch})`;
      throw new BerthError("superseded", message, { facts: { heldEpoch, leaseRemaining } });
    }
  }
}

function hostIdOf(context: Context): string {
  const parsed = hostIdSchema.safeParse(context.req.param("hostId"));
  if (parsed.success) return parsed.data;
  throw invalid([{ path: "hostId", message: parsed.error.issues[0]?.message ?? "wrong" }]);
}

async function readBody<T>(context: Context, schema: z.ZodType<T>): Promise<T> {
  const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new BerthError("bad-content-type", 'the body needs "content-type: application/json"');
  }
  const parsed = schema.safeParse(await readJson(context.req.raw));
  if (parsed.success) return parsed.data;
  throw invalid(parsed.error.issues.map(({ path, message }) => ({ path: path.join("."), message })));
}

/** Stops reading at the limit: content-length may be missing or a lie. (Hono's own limit cannot read @hono/node-server's requests.) */
async function readJson(request: Request): Promise<unknown> {
  const tooLarge = () => new BerthError("body-too-large", `the body is over ${maxBodyLength} octets`);
  if (Number(request.headers.get("content-length")) > maxBodyLength) throw tooLarge();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  try {
    for await (const chunk of request.body ?? []) {
      length += chunk.length;
      if (length > maxBodyLength) throw tooLarge();
      text += decoder.decode(chunk, { stream: true });
    }
    return JSON.parse(text + decoder.decode());
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    throw new BerthError("malformed-json", "the body is not JSON, or broke off", { cause });
  }
}

function invalid(faults: { path: string; message: string }[]): BerthError {
  // A body of 20,000 wrong bindings must not become a reply of as many faults.
  const cut = (text: string) => (text.length > 200 ? `${text.slice(0, 197)}...` : text);
  const shown = faults.slice(0, 50).map(({ path, message }) => ({ path: cut(path), message: cut(message) }));
  return new BerthError("invalid-body", `${faults.length} of its values are wrong`, {
    facts: { faults: shown },
  });
}
