import { messageFromResponse, requestFromMessage } from "./dns/doh.ts";
import { type Response as DnsResponse, decodeResponse, encodeQuery } from "./dns/message.ts";
import { BerthError } from "./errors.ts";
import { displayName, type Name } from "./name.ts";

export interface DohServer {
  fetch: typeof fetch;
  /** The DoH URI, such as https://127.0.0.1:8053/dns-query. */
  url: string;
  /** Milliseconds for one whole exchange. */
  timeoutMs: number;
}

export interface QueryOptions {
  /** Asks the server past every cache. */
  fresh?: boolean;
  /** Ends the exchange early. */
  signal?: AbortSignal;
}

/**
 * One DoH exchange. Every rcode is an answer; throws a BerthError `doh-failed` (retryable) when none came in time, and
 * `malformed-message` or `body-too-large` when what came is no DNS message.
 */
export async function queryDoh(
  server: DohServer,
  name: Name,
  type: number,
  options: QueryOptions = {},
): Promise<DnsResponse> {
  const limit = AbortSignal.timeout(server.timeoutMs);
  const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
  const request = requestFromMessage(server.url, encodeQuery(name, type), options.fresh ?? false);
  let message: Uint8Array;
  try {
    message = await messageFromResponse(await server.fetch(request, { signal }));
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    const about = `no answer for ${displayName(name)} from ${server.url}`;
    throw new BerthError("doh-failed", about, { who: server.url, retryable: true, cause });
  }
  return decodeResponse(message);
}
