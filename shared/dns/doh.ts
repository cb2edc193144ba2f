import { readBody } from "../bounded-body.ts";
import { BerthError } from "../errors.ts";
import { maxMessageLength } from "./message.ts";

/** RFC 8484 §6. */
export const dnsMessageType = "application/dns-message";
/** Where berth serves DoH. */
export const dohPath = "/dns-query";

/**
 * The DNS message of a DoH request (RFC 8484 §4.1). Throws a BerthError whose code is one of `method-not-allowed`, `bad-content-type`,
 * `body-too-large` and `malformed-message`.
 */
export async function messageFromRequest(request: Request): Promise<Uint8Array> {
  if (request.method === "GET" || request.method === "HEAD") return messageFromQueryString(request);
  if (request.method !== "POST") {
    throw new BerthError("method-not-allowed", "DoH is asked by GET or POST (RFC 8484 §4.1)");
  }
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== dnsMessageType) {
    throw new BerthError("bad-content-type", `a POST needs "content-type: ${dnsMessageType}"`);
  }
  try {
    return await messageIn(request.body);
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    throw new BerthError("malformed-message", "the body broke off", { cause });
  }
}

/** `maxAge` in seconds is the smallest TTL of the answer (RFC 8484 §5.1); 0 forbids storing it. */
export function responseFromMessage(message: Uint8Array<ArrayBuffer>, maxAge: number): Response {
  const cacheControl = maxAge > 0 ? `max-age=${maxAge}` : "no-store";
  return new Response(message, {
    headers: { "content-type": dnsMessageType, "cache-control": cacheControl },
  });
}

/** What is to be sent to a DoH URI. */
export interface DohRequest {
  method: "POST";
  headers: Record<string, string>;
  body: Uint8Array<ArrayBuffer>;
}

/** POST, because its length tells less than a URL's and no log keeps it. `fresh` asks past every cache. */
export function requestFromMessage(message: Uint8Array, fresh: boolean): DohRequest {
  const headers: Record<string, string> = { "content-type": dnsMessageType, accept: dnsMessageType };
  if (fresh) headers["cache-control"] = "no-cache";
  return { method: "POST", headers, body: new Uint8Array(message) };
}

/** Seconds for which HTTP lets a reply be used from now on (RFC 9111 §4.2, RFC 8484 §5.1). */
export interface HttpFreshness {
  /** How old it already was, in a cache on the way. */
  age: number;
  /** How long it was good for at first; 0 when it may not be kept; undefined when HTTP does not say. */
  maxAge: number | undefined;
}

export function freshnessOf(headers: Pick<Headers, "get">): HttpFreshness {
  const control = headers.get("cache-control") ?? "";
  const [, seconds] = /(?:^|[\s,])max-age="?(\d{1,10})/i.exec(control) ?? [];
  const mayNotBeKept = /(?:^|[\s,])no-(?:store|cache)\b/i.test(control);
  const [age] = /^\d{1,10}$/.exec(headers.get("age")?.trim() ?? "") ?? [];
  const maxAge = seconds === undefined ? undefined : Number(seconds);
  return { age: Number(age ?? 0), maxAge: mayNotBeKept ? 0 : maxAge };
}

/**
 * Throws a BerthError `doh-failed` unless the response carries a DNS message, `token-refused` when it asks for a token (RFC 6750),
 * `body-too-large` when it carries more.
 */
export async function messageFromResponse(response: Response): Promise<Uint8Array> {
  const type = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (response.status !== 200 || type !== dnsMessageType) {
    await response.body?.cancel();
    if (response.status === 401) {
      throw new BerthError("token-refused", "it lets nobody look names up without a valid token (HTTP 401)");
    }
    const got = `HTTP ${response.status}, content-type ${type ?? "missing"}`;
    const retryable = response.status >= 500 || response.status === 429;
    throw new BerthError("doh-failed", `not a DoH answer: ${got}`, { retryable });
  }
  return messageIn(response.body);
}

function messageFromQueryString(request: Request): Uint8Array {
  const encoded = new URL(request.url).searchParams.get("dns");
  if (encoded === null) {
    throw new BerthError(
      "malformed-message",
      "a GET needs ?dns= with the message in base64url (RFC 8484 §4.1)",
    );
  }
  if (!/^[A-Za-z0-9_-]*$/.test(encoded)) {
    throw new BerthError("malformed-message", "?dns= is not base64url without padding (RFC 4648 §5)");
  }
  if (encoded.length > Math.ceil((maxMessageLength * 4) / 3)) throw tooLarge();
  try {
    return Uint8Array.from(atob(encoded.replaceAll("-", "+").replaceAll("_", "/")), (char) =>
      char.charCodeAt(0),
    );
  } catch (cause) {
    throw new BerthError("malformed-message", "?dns= is not base64url (RFC 4648 §5)", { cause });
  }
}

async function messageIn(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const message = await readBody(body, maxMessageLength);
  if (message === undefined) throw tooLarge();
  return message;
}

function tooLarge(): BerthError {
  return new BerthError("body-too-large", `a DNS message has at most ${maxMessageLength} octets`);
}
