import type { z } from "zod";

import {
  type ErrorReply,
  errorReplySchema,
  type Push,
  type PushReply,
  pushReplySchema,
  type Renewal,
} from "./binding.ts";
import { BerthError } from "./errors.ts";
import { type HostList, hostListSchema, type ServiceList, serviceListSchema } from "./registry-views.ts";

/** The push API of one resolver, as its clients reach it. */
export interface ResolverAccess {
  fetch: typeof fetch;
  /** The resolver's base URL, such as https://127.0.0.1:8053. */
  url: string;
  token: string;
  /** Milliseconds for one whole exchange. */
  timeoutMs: number;
}

/*
 * Every function throws a BerthError. Its code is the resolver's own (`superseded`, `unknown-digest`, `unknown-token`, ...; facts carry
 * heldEpoch and leaseRemaining), or `resolver-unreachable` (retryable) when no reply came, or `bad-reply` when it was not berth's.
 */

export async function pushBindings(access: ResolverAccess, hostId: string, push: Push): Promise<PushReply> {
  return exchange(access, pushReplySchema, "PUT", `/v1/hosts/${hostId}`, push);
}

export async function renewLease(
  access: ResolverAccess,
  hostId: string,
  renewal: Renewal,
): Promise<PushReply> {
  return exchange(access, pushReplySchema, "PUT", `/v1/hosts/${hostId}/lease`, renewal);
}

/** Resolves to false when the resolver held nothing of this host. */
export async function withdrawHost(access: ResolverAccess, hostId: string): Promise<boolean> {
  const response = await send(access, "DELETE", `/v1/hosts/${hostId}`);
  await response.body?.cancel();
  if (response.status === 404) return false;
  if (response.status !== 204) throw badReply(access, response.status);
  return true;
}

export async function listHosts(access: ResolverAccess): Promise<HostList> {
  return exchange(access, hostListSchema, "GET", "/v1/hosts");
}

export async function listServices(access: ResolverAccess): Promise<ServiceList> {
  return exchange(access, serviceListSchema, "GET", "/v1/services");
}

async function exchange<T>(
  access: ResolverAccess,
  schema: z.ZodType<T>,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const response = await send(access, method, path, body);
  const reply = schema.safeParse(await readJson(access, response));
  if (!reply.success) throw badReply(access, response.status, reply.error);
  return reply.data;
}

async function send(access: ResolverAccess, method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { authorization: `Bearer ${access.token}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    // Not resolved against it: a resolver behind a reverse proxy may have a path of its own.
    response = await access.fetch(`${access.url.replace(/\/+$/, "")}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(access.timeoutMs),
      // A redirect is a fault: what this host declares goes to the resolver it was given. Not "error", which workerd does not know.
      redirect: "manual",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (cause) {
    throw unreachable(access, cause);
  }
  const deleteOfNothing = method === "DELETE" && response.status === 404;
  if (!response.ok && !deleteOfNothing) throw await faultFrom(access, response);
  return response;
}

async function faultFrom(access: ResolverAccess, response: Response): Promise<BerthError> {
  const reply = errorReplySchema.safeParse(await readJson(access, response));
  if (!reply.success) return badReply(access, response.status);
  const { code, message, ...facts } = reply.data.error;
  const retryable = response.status >= 500 || response.status === 429;
  return new BerthError(code, `the resolver at ${access.url} says: ${message}${faultList(facts)}`, {
    who: access.url,
    retryable,
    facts,
  });
}

function faultList(facts: Omit<ErrorReply["error"], "code" | "message">): string {
  const shown = (facts.faults ?? []).slice(0, 3).map((fault) => `${fault.path}: ${fault.message}`);
  return shown.length === 0 ? "" : ` (${shown.join("; ")})`;
}

async function readJson(access: ResolverAccess, response: Response): Promise<unknown> {
  // A reply that breaks off is no reply; only a whole one can be somebody else's.
  const text = await response.text().catch((cause: unknown) => {
    throw unreachable(access, cause);
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badReply(access, response.status, cause);
  }
}

function unreachable(access: ResolverAccess, cause: unknown): BerthError {
  const message = `no reply from the resolver at ${access.url}`;
  return new BerthError("resolver-unreachable", message, { who: access.url, retryable: true, cause });
}

function badReply(access: ResolverAccess, status: number, cause?: unknown): BerthError {
  const message = `${access.url} did not reply as a berth resolver does (HTTP ${status}); check the URL`;
  return new BerthError("bad-reply", message, { who: access.url, retryable: true, cause });
}
