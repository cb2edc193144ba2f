import { BerthError, describeFault } from "./errors.ts";
import type { ResolverChoice } from "./resolver-choice.ts";

/** Servers that answer the same, and the token they want. */
export interface Servers {
  choice: ResolverChoice;
  /** Milliseconds for one question, all servers together. */
  timeoutMs: number;
  /** Milliseconds that only ever go up. */
  now: () => number;
  /** The token to present; `again` after it was refused. Without it lookups go without a token. */
  token?: (again: boolean) => Promise<string>;
}

/** One exchange with one of them. It throws a BerthError when no reply came; one about the token has a code of `tokenCodes`. */
export type AskOne<T> = (url: string, token: string | undefined, timeoutMs: number) => Promise<T>;

export interface TurnOptions<T> {
  signal: AbortSignal;
  /** Why a reply says that this server could not answer, so that another one may; undefined for an answer. */
  failureIn?: (reply: T) => string | undefined;
  /** Whether a fault says that the server is not to be turned to first, for any question; each does, unless said otherwise. */
  blames?: (fault: BerthError) => boolean;
}

/** What a resolver calls a token it does not take, or the want of one. */
const tokenCodes: readonly string[] = ["token-refused", "unknown-token", "token-expired", "token-revoked"];

/**
 * Asks the server that answered last, and at its failure the others at once. A silent one has its share of the time, no more. Throws what
 * `ask` and `token` throw; of several faults, the one that a person can mend: a token refused. A reply that is a failure is given back
 * when nobody had a better one.
 */
export async function askInTurn<T>(
  servers: Servers,
  ask: AskOne<T>,
  { signal, failureIn, blames = () => true }: TurnOptions<T>,
): Promise<{ url: string; reply: T }> {
  const { choice, now, timeoutMs } = servers;
  const deadline = now() + timeoutMs;
  const urls = choice.order(now());
  const token = await servers.token?.(false);
  const outcomes: Outcome<T>[] = [];
  for (const [index, url] of urls.entries()) {
    // Whole milliseconds are all a timeout takes.
    const share = Math.max(1, Math.ceil((deadline - now()) / (urls.length - index)));
    const outcome = await askWithToken(servers, ask, { url, token, share });
    // Called off: that says nothing about the server.
    if ("fault" in outcome && signal.aborted) throw outcome.fault;
    const failure = "fault" in outcome ? describeFault(outcome.fault) : failureIn?.(outcome.reply);
    if ("reply" in outcome && failure === undefined) {
      choice.worked(url);
      return outcome;
    }
    if (!("fault" in outcome) || blames(outcome.fault)) choice.failed(url, now(), failure);
    outcomes.push(outcome);
  }
  return bestOf(outcomes);
}

type Outcome<T> = { url: string; reply: T } | { fault: BerthError };

async function askWithToken<T>(
  servers: Servers,
  ask: AskOne<T>,
  { url, token, share }: { url: string; token: string | undefined; share: number },
): Promise<Outcome<T>> {
  const send = async (presented: string | undefined): Promise<Outcome<T>> => {
    try {
      return { url, reply: await ask(url, presented, share) };
    } catch (fault) {
      if (fault instanceof BerthError) return { fault };
      throw fault;
    }
  };
  const first = await send(token);
  if (!("fault" in first) || !isAboutToken(first.fault)) return first;
  const another = await servers.token?.(true);
  return another === token ? first : send(another);
}

/** Whether it is the token that the other side did not take, or misses. */
export function isAboutToken(fault: BerthError): boolean {
  return tokenCodes.includes(fault.code);
}

/** Whether nobody berth knows replied; else it is there, and may be as good as ever for other questions. */
export function isOutOfReach({ code, retryable }: BerthError): boolean {
  return retryable && code !== "bad-reply";
}

/** A failure a server tells is its own word, a token refused is what somebody can mend; no reply at all may have many reasons. */
function bestOf<T>(outcomes: Outcome<T>[]): { url: string; reply: T } {
  const faults = outcomes.flatMap((outcome) => ("fault" in outcome ? [outcome.fault] : []));
  const refused = faults.find(isAboutToken);
  if (refused !== undefined) throw refused;
  for (const outcome of outcomes) if ("reply" in outcome) return outcome;
  throw faults[0] ?? new BerthError("doh-failed", "no server was asked", { retryable: true });
}
