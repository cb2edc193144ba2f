import { askInTurn, type Servers } from "./ask-in-turn.ts";
import { Rcode, rcodeName } from "./dns/constants.ts";
import { type DohAnswer, type QueryOptions, queryDoh } from "./doh-client.ts";
import type { Name } from "./name.ts";

/** DoH servers that answer the same; `choice` is among their DoH URIs, or among what `uriOf` makes one of. */
export interface DohServers extends Servers {
  fetch: typeof fetch;
  /** The DoH URI of one of `choice`, where others choose among the same servers by another URL. */
  uriOf?: (url: string) => string;
}

export interface ServersAnswer {
  response: DohAnswer;
  /** Whose it is. */
  url: string;
}

/**
 * Asks one server after another, as `askInTurn` does. SERVFAIL says that a server could not answer, so another one may (RFC 1035 §4.3.1
 * leaves that to the asking side); every other rcode is an answer. Throws as `queryDoh` does, and what `token` throws.
 */
export async function queryDohServers(
  servers: DohServers,
  name: Name,
  type: number,
  options: QueryOptions & { signal: AbortSignal },
): Promise<ServersAnswer> {
  const { fetch, uriOf = (url: string) => url } = servers;
  const ask = (url: string, token: string | undefined, timeoutMs: number): Promise<DohAnswer> => {
    const server = { fetch, url: uriOf(url), timeoutMs, ...(token === undefined ? {} : { token }) };
    return queryDoh(server, name, type, options);
  };
  const failureIn = ({ rcode }: DohAnswer) => (rcode === Rcode.ServFail ? rcodeName(rcode) : undefined);
  const { url, reply } = await askInTurn(servers, ask, { signal: options.signal, failureIn });
  return { url: uriOf(url), response: reply };
}
