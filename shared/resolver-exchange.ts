import type { z } from "zod";

import { type ErrorReply, errorReplySchema } from "./binding.ts";
import { readBody } from "./bounded-body.ts";
import { BerthError } from "./errors.ts";
import type { HostSigner } from "./signature.ts";

/**
 * What is asked of `fetch`, so that something smaller can stand in for it (an agent's memory is for its containers). No redirect is
 * followed, and the reply must not be read twice.
 */
export type HttpSend<R extends HttpReply = HttpReply> = (url: string, request: HttpRequest) => Promise<R>;

export interface HttpRequest {
  method: string;
  headers: Record<string, string>;
  body?: Uint8Array | Blob;
  signal: AbortSignal;
  redirect: "manual";
}

export interface HttpReply {
  /** From 200 to 299. */
  readonly ok: boolean;
  readonly status: number;
  /** The whole body as UTF-8; rejects when it breaks off. */
  text(): Promise<string>;
  /** The same as it comes, where it can be had so; then no more is read than a reply may have. */
  readonly body?: ReadableStream<Uint8Array> | null;
}

/** Octets. A name with every port there is has 6 MB to tell. */
const longestReply = 16 * 1024 * 1024;

/** One resolver, as whoever looks names up reaches it. Replies that are not only text are for those who have `fetch` itself. */
export interface LookupAccess<R extends HttpReply = HttpReply> {
  fetch: HttpSend<R>;
  /** The resolver's base URL, such as https://127.0.0.1:8053. */
  url: string;
  /** Only where lookups need one. */
  token?: string;
  /** Milliseconds for one whole exchange. */
  timeoutMs: number;
}

/** The whole API of one resolver, as its clients reach it. */
export interface ResolverAccess<R extends HttpReply = HttpReply> extends LookupAccess<R> {
  token: string;
  /** The host's key, for the requests that speak for a host; without it they go unsigned, which an admin's token may do for some. */
  signer?: HostSigner;
  /** Kept by the caller from request to request, one per resolver; without it every signed request costs a refusal first. */
  generation?: KnownGeneration;
  /** Milliseconds since 1970, for the time a signature states; without it, it states none. */
  now?: () => number;
}

/** The registry's life as its last refusal told it; "" before the first. */
export interface KnownGeneration {
  current: string;
}

export interface ResolverRequest {
  method: string;
  /** Below the resolver's base URL. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array | Blob | undefined;
  signal?: AbortSignal;
}

/** Where `path` lies for this access. Not resolved against the base: a resolver behind a reverse proxy may have a path of its own. */
export function urlOf(access: LookupAccess, path: string): string {
  return `${access.url.replace(/\/+$/, "")}${path}`;
}

/** Sends one request and reads the whole reply by `schema`. Throws as `sendRequest` does, or `bad-reply`. */
export async function exchange<T>(
  access: LookupAccess,
  schema: z.ZodType<T>,
  request: ResolverRequest,
): Promise<T> {
  return readReply(access, schema, await sendRequest(access, request));
}

/** Resolves to the response of a request that was accepted; else throws the BerthError the resolver named, or `resolver-unreachable`. */
export async function sendRequest<R extends HttpReply>(
  access: LookupAccess<R>,
  request: ResolverRequest,
): Promise<R> {
  let response: R;
  try {
    response = await access.fetch(urlOf(access, request.path), {
      method: request.method,
      headers: { ...bearer(access), ...request.headers },
      signal: request.signal ?? AbortSignal.timeout(access.timeoutMs),
      // A redirect is a fault: what this host declares goes to the resolver it was given. Not "error", which workerd does not know.
      redirect: "manual",
      ...(request.body === undefined ? {} : { body: request.body }),
    });
  } catch (cause) {
    throw unreachable(access, cause);
  }
  if (!response.ok) throw await faultFrom(access, response);
  return response;
}

function bearer({ token }: LookupAccess): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

export async function readReply<T>(
  access: LookupAccess,
  schema: z.ZodType<T>,
  response: HttpReply,
): Promise<T> {
  const reply = schema.safeParse(await readJson(access, response));
  if (!reply.success) throw badReply(access, response.status, reply.error);
  return reply.data;
}

/** The reply is not one a berth resolver gives. */
export function badReply(access: LookupAccess, status: number, cause?: unknown): BerthError {
  const message = `${access.url} did not reply as a berth resolver does (HTTP ${status}); check the URL`;
  return new BerthError("bad-reply", message, { who: access.url, retryable: true, cause });
}

async function faultFrom(access: LookupAccess, response: HttpReply): Promise<BerthError> {
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

async function readJson(access: LookupAccess, response: HttpReply): Promise<unknown> {
  // A reply that breaks off is no reply; only a whole one can be somebody else's.
  const text = await textOf(response).catch((cause: unknown) => {
    throw unreachable(access, cause);
  });
  if (text === undefined) throw badReply(access, response.status);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badReply(access, response.status, cause);
  }
}

/** Undefined when it is too long to be a reply of berth's. */
async function textOf(response: HttpReply): Promise<string | undefined> {
  if (response.body === undefined) return response.text();
  const octets = await readBody(response.body, longestReply);
  return octets === undefined ? undefined : new TextDecoder().decode(octets);
}

function unreachable(access: LookupAccess, cause: unknown): BerthError {
  const message = `no reply from the resolver at ${access.url}`;
  return new BerthError("resolver-unreachable", message, { who: access.url, retryable: true, cause });
}
