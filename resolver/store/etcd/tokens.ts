import { authFault, faultFromRefusal, MemberFault, StaleTokenFault } from "./faults.ts";
import { parseReply, refusalFrom } from "./replies.ts";
import type { Transport } from "./transport.ts";

export interface Credentials {
  user?: string;
  /** Asked whenever a token is needed, so that a changed password is taken without a restart. */
  readPassword?: () => string | Promise<string>;
}

/** One token for all requests: etcd tells its members of each one it makes. */
export interface Tokens {
  /** The token in use, made at `url` when there is none. Empty where no user is configured, or etcd wants none. */
  current(url: string): Promise<string>;
  /** Another token than `stale`; of all who ask at once, one has it made. */
  renew(url: string, stale: string): Promise<string>;
}

/** Rejects with `etcd-auth` for a wrong password, with a MemberFault where another member may do better. */
export function createTokens(transport: Transport, credentials: Credentials, timeoutMs: number): Tokens {
  const { user, readPassword } = credentials;
  let token = user === undefined ? "" : undefined;
  let making: Promise<string> | undefined;

  async function make(url: string): Promise<string> {
    const body = { name: user, password: (await readPassword?.()) ?? "" };
    const { status, text } = await transport.exchange(url, {
      path: "/v3/auth/authenticate",
      body,
      headers: {},
      timeoutMs,
    });
    if (status === 200) return tokenFrom(parseReply(url, text));
    const refusal = refusalFrom(status, text);
    // A user may be configured before authentication is turned on; the first refusal for want of a token leads back here.
    if (/authentication is not enabled/.test(refusal.message)) return "";
    const fault = faultFromRefusal(url, refusal, user);
    throw fault instanceof StaleTokenFault ? authFault(url, fault.message, user) : fault;
  }

  function makeOnce(url: string): Promise<string> {
    making ??= make(url)
      .then((made) => {
        token = made;
        return made;
      }, asUnapplied)
      .finally(() => {
        making = undefined;
      });
    return making;
  }

  return {
    current: async (url) => token ?? makeOnce(url),
    async renew(url, stale) {
      return token !== undefined && token !== stale ? token : makeOnce(url);
    },
  };
}

/** Whatever became of the token, the request that wanted it was not sent. */
function asUnapplied(fault: unknown): never {
  if (!(fault instanceof MemberFault)) throw fault;
  const { url, message, leaderless, untrusted } = fault;
  throw new MemberFault(url, message, { unapplied: true, leaderless, untrusted, cause: fault.cause });
}

function tokenFrom(reply: unknown): string {
  const token = typeof reply === "object" && reply !== null && "token" in reply ? reply.token : undefined;
  return typeof token === "string" ? token : "";
}
