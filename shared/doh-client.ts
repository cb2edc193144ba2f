import { freshnessOf, type HttpFreshness, messageFromResponse, requestFromMessage } from "./dns/doh.ts";
import { type Response as DnsResponse, decodeResponse, encodeQuery } from "./dns/message.ts";
import { BerthError } from "./errors.ts";
import { displayName, type Name } from "./name.ts";

export interface DohServer {
  fetch: typeof fetch;
  /** The DoH URI, such as https://127.0.0.1:8053/dns-query. */
  url: string;
  /** Milliseconds for one whole exchange. */
  timeoutMs: number;
  /** Presented as RFC 6750 has it, to a server that lets nobody ask without one. */
  token?: string;
}

/** An answer, and how HTTP had it, which its TTL is to be lessened by (RFC 8484 §5.1). */
export interface DohAnswer extends DnsResponse {
  http: HttpFreshness;
}

export interface QueryOptions {
  /** Asks the server past every cache. */
  fresh?: boolean;
  /** Ends the exchange early. */
  signal?: AbortSignal;
}

/**
 * One DoH exchange. Every rcode is an answer; throws a BerthError `doh-failed` (retryable) when none came in time, `token-refused` when
 * the server wants a token, or another one, and `malformed-message` or `body-too-large` when what came is no DNS message. A redirect is no answer either: it is not followed, because
 * whoever answers must not choose what this machine asks next.
 */
export async function queryDoh(
  server: DohServer,
  name: Name,
  type: number,
  options: QueryOptions = {},
): Promise<DohAnswer> {
  const limit = AbortSignal.timeout(server.timeoutMs);
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  const request = requestFromMessage(encodeQuery(name, type), options.fresh ?? false);
  if (server.token !== undefined) request.headers.authorization = `Bearer ${server.token}`;
  try {
    // Not "error", which workerd does not know.
    const response = await server.fetch(server.url, { ...request, signal, redirect: "manual" });
    const http = freshnessOf(response.headers);
    return { ...decodeResponse(await messageFromResponse(response)), http };
  } catch (cause) {
    const about = `no answer for ${displayName(name)} from ${server.url}`;
    const { code, retryable } = cause instanceof BerthError ? cause : { code: "doh-failed", retryable: true };
    throw new BerthError(code, about, { who: server.url, retryable, cause });
  }
}
