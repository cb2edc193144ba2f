import { Rcode } from "./dns/constants.ts";
import type { Response as DnsResponse } from "./dns/message.ts";
import { queryDoh } from "./doh-client.ts";
import { BerthError } from "./errors.ts";
import type { Name } from "./name.ts";
import type { ResolverChoice } from "./resolver-choice.ts";

/** DoH servers that answer the same, and the token they want. */
export interface DohServers {
  fetch: typeof fetch;
  /** Among their DoH URIs. */
  choice: ResolverChoice;
  /** Milliseconds for one question, all servers together. */
  timeoutMs: number;
  /** Milliseconds that only ever go up. */
  now: () => number;
  /** The token to present; `again` after it was refused. Without it lookups go without a token. */
  token?: (again: boolean) => Promise<string>;
}

export interface ServersAnswer {
  response: DnsResponse;
  /** Whose it is. */
  url: string;
}

/**
 * Asks the server that answered last, and at its failure the others at once. A silent one has its share of the time, no more. SERVFAIL
 * says that a server could not answer, so another one may (RFC 1035 §4.3.1 leaves that to the asking side); every other rcode is an
 * answer. Throws as `queryDoh` does, and what `token` throws; of several faults, the one that a person can mend: a token refused.
 */
export async function queryDohServers(
  servers: DohServers,
  name: Name,
  type: number,
  signal: AbortSignal,
): Promise<ServersAnswer> {
  const { choice, now, timeoutMs } = servers;
  const deadline = now() + timeoutMs;
  const urls = choice.order(now());
  const token = await servers.token?.(false);
  const failures: Failure[] = [];
  for (const [index, url] of urls.entries()) {
    // Whole milliseconds are all a timeout takes.
    const share = Math.max(1, Math.ceil((deadline - now()) / (urls.length - index)));
    const outcome = await askOne(servers, url, { name, type, token, signal, timeoutMs: share });
    // Called off: that says nothing about the server.
    if ("fault" in outcome && signal.aborted) throw outcome.fault;
    if ("answer" in outcome && outcome.answer.response.rcode !== Rcode.ServFail) {
      choice.worked(url);
      return outcome.answer;
    }
    choice.failed(url, now());
    failures.push(outcome);
  }
  return bestOf(failures);
}

type Failure = { answer: ServersAnswer } | { fault: BerthError };

interface Question {
  name: Name;
  type: number;
  token: string | undefined;
  signal: AbortSignal;
  timeoutMs: number;
}

async function askOne(servers: DohServers, url: string, question: Question): Promise<Failure> {
  const { fetch } = servers;
  const { name, type, timeoutMs, signal } = question;
  const ask = async (token: string | undefined): Promise<Failure> => {
    const server = { fetch, url, timeoutMs, ...(token === undefined ? {} : { token }) };
    try {
      return { answer: { url, response: await queryDoh(server, name, type, { signal }) } };
    } catch (fault) {
      if (fault instanceof BerthError) return { fault };
      throw fault;
    }
  };
  const first = await ask(question.token);
  if (!("fault" in first) || first.fault.code !== "token-refused") return first;
  const another = await servers.token?.(true);
  return another === question.token ? first : ask(another);
}

/** A SERVFAIL is a server's own word, a token refused is what somebody can mend; no reply at all may have many reasons. */
function bestOf(failures: Failure[]): ServersAnswer {
  const faults = failures.flatMap((failure) => ("fault" in failure ? [failure.fault] : []));
  const refused = faults.find(({ code }) => code === "token-refused");
  if (refused !== undefined) throw refused;
  for (const failure of failures) if ("answer" in failure) return failure.answer;
  throw faults[0] ?? new BerthError("doh-failed", "no server was asked", { retryable: true });
}
