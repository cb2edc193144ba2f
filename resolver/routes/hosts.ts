import { type Context, Hono } from "hono";
import type { z } from "zod";

import { isLoopback } from "../../shared/address.ts";
import {
  type Declared,
  type Delta,
  declaredSchema,
  deltaBodySchema,
  pushBodySchema,
  renewalBodySchema,
  type Turn,
} from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import { BerthError } from "../../shared/errors.ts";
import { type Access, allowsHost } from "../access.ts";
import { hostIdFrom, verifyTurn, verifyTurnWithBody } from "../signed-request.ts";
import type { BindingStore, WithdrawOutcome } from "../store.ts";
import { faultOfOutcome, replyOf } from "../turn-outcome.ts";
import type { AccessEnv } from "./admin-only.ts";
import { invalidBody, parseJsonBody, readJsonOctets } from "./body.ts";
import { refuseWrongBindings } from "./long-lists.ts";

/** Room for 20,000 bindings; a request past it is a mistake or an attack. */
const maxBodyLength = 16 * 1024 * 1024;

export interface HostsParts {
  store: BindingStore;
  /** Whether clients of this resolver are all on this machine, so that loopback addresses mean something to them. */
  acceptsLocal: (request: Request) => boolean;
  /** The path a reverse proxy takes off in front of /v1: hosts sign the path they ask for. "" without one. */
  publicPath?: string;
}

type HostContext = Context<AccessEnv>;

/**
 * The push API, mounted at /v1/hosts. Each write goes the same way: may this kind of token, did the host sign it, what does it say, what
 * does the store make of it. Faults are thrown; app.ts turns them into replies.
 */
export function hostsRoutes({ store, acceptsLocal, publicPath = "" }: HostsParts): Hono<AccessEnv> {
  const read = <T extends object>(context: HostContext, schema: z.ZodType<T>) =>
    readSigned(context, schema, publicPath);
  return new Hono<AccessEnv>()
    .get("/", async (context) => context.json(await store.hosts()))
    .get("/:hostId/link", () => {
      // An upgrade never comes this far.
      const message = "a link is a WebSocket with the subprotocol berth.link.1, over HTTP/1.1";
      throw new BerthError("upgrade-required", message);
    })
    .put("/:hostId", async (context) => {
      const { hostId, access, body } = await read(context, pushBodySchema);
      await checkDigest(body.declared, body.digest);
      checkLocal(body.declared, acceptsLocal(context.req.raw));
      return context.json(replyOf(await store.push(hostId, body, access)));
    })
    .patch("/:hostId", async (context) => {
      const { hostId, access, body } = await read(context, deltaBodySchema);
      checkChanges(body);
      checkLocal(body.declared, acceptsLocal(context.req.raw));
      return context.json(replyOf(await store.pushDelta(hostId, body, access)));
    })
    .put("/:hostId/lease", async (context) => {
      const { hostId, access, body } = await read(context, renewalBodySchema);
      return context.json(replyOf(await store.renew(hostId, body, access)));
    })
    .delete("/:hostId", async (context) => {
      const hostId = hostIdFrom(context.req.param("hostId"));
      // An operator clears away hosts whose key nobody has any more.
      const turn = isAdmin(context) ? undefined : await agentTurn(context, hostId, publicPath);
      if (turn !== undefined) await checkScope(context.get("access"), hostId, store);
      confirmWithdrawal(await store.withdraw(hostId, turn, context.get("access")));
      return context.body(null, 204);
    });
}

/** The signature is judged before the body is read, and the body's digest before it is parsed: strangers cost little. */
async function readSigned<T extends object>(
  context: HostContext,
  schema: z.ZodType<T>,
  publicPath: string,
): Promise<{ hostId: string; access: Access; body: T & Turn }> {
  const access = requireAgent(context);
  const hostId = hostIdFrom(context.req.param("hostId"));
  const request = context.req.raw;
  const { turn, checkDigest } = await verifyTurnWithBody(request, hostId, publicPath);
  const octets = await readJsonOctets(request, maxBodyLength);
  await checkDigest(octets);
  return { hostId, access, body: { ...parseJsonBody(octets, schema, refuseLongWrong), ...turn } };
}

function refuseLongWrong(body: unknown): void {
  const { declared, changed } = lookInto(body);
  refuseWrongBindings(lookInto(declared).bindings, "declared.bindings");
  refuseWrongBindings(changed, "changed");
}

function lookInto(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

async function agentTurn(context: HostContext, hostId: string, publicPath: string): Promise<Turn> {
  requireAgent(context);
  return verifyTurn(context.req.raw, hostId, publicPath);
}

/** A token that may not speak for a host may not take it away. The label it goes by is the one it was last pushed under. */
async function checkScope(
  { scope }: Access,
  hostId: string,
  store: Pick<BindingStore, "hosts">,
): Promise<void> {
  if (allowsHost(scope, hostId, "")) return;
  const { hosts } = await store.hosts();
  const held = hosts.find((host) => host.hostId === hostId);
  if (held !== undefined && !allowsHost(scope, hostId, held.declaredLabel)) {
    throw faultOfOutcome({ kind: "host-not-allowed" });
  }
}

function isAdmin(context: HostContext): boolean {
  return context.get("access").kind === "admin";
}

function requireAgent(context: HostContext): Access {
  const access = context.get("access");
  if (access.kind === "agent") return access;
  const message = `a token of kind ${access.kind} may not speak for a host; an agent's token may`;
  throw new BerthError("token-not-allowed", message);
}

async function checkDigest(declared: Declared, digest: string): Promise<void> {
  if ((await digestOf(declared)) === digest) return;
  throw invalidBody([{ path: "digest", message: "is not the SHA-256 of the declared set's canonical form" }]);
}

/** What `declaredSchema` asks of a whole set, asked of the part that is here. */
function checkChanges({ declared, changed }: Delta): void {
  const parsed = declaredSchema.safeParse({ ...declared, bindings: changed });
  if (parsed.success) return;
  const faults = parsed.error.issues.map(({ path: [first, ...rest], message }) => {
    const path =
      first === "bindings"
        ? ["changed", ...rest]
        : ["declared", ...(first === undefined ? [] : [first]), ...rest];
    return { path: path.join("."), message };
  });
  throw invalidBody(faults);
}

function checkLocal(declared: Pick<Declared, "local" | "addresses">, acceptsLocal: boolean): void {
  if (declared.local !== declared.addresses.every(isLoopback)) {
    throw invalidBody([
      { path: "declared.local", message: "is true exactly when all addresses are loopback ones" },
    ]);
  }
  if (declared.addresses.some(isLoopback) && !acceptsLocal) {
    const mend = "start the agent with --advertise <an address its clients can reach>";
    const message = `loopback addresses mean nothing to this resolver's clients on other machines; ${mend}`;
    throw new BerthError("local-host-refused", message);
  }
}

function confirmWithdrawal(outcome: WithdrawOutcome): void {
  if (outcome.kind === "withdrawn") return;
  if (outcome.kind !== "not-held") throw faultOfOutcome(outcome);
  throw new BerthError("unknown-host", "nothing is held for this host");
}
