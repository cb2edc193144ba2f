import { Rcode, rcodeName } from "../shared/dns/constants.ts";
import type { Response as DnsResponse } from "../shared/dns/message.ts";
import { type DohServers, queryDohServers, type ServersAnswer } from "../shared/doh-servers.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import { displayName, type Name } from "../shared/name.ts";
import type { Resolution } from "./resolution.ts";

/** A stub resolver's three outcomes. `exists` may be NODATA: the name is there, with or without RRs of the type asked for. */
export type Answer =
  | { kind: "exists"; response: DnsResponse }
  | { kind: "nxdomain" }
  | { kind: "failed"; failure: Failure };

export type Failure = Extract<Resolution, { kind: "no-answer" | "no-token" }>;

export type Stub = (name: Name, type: number) => Promise<Answer>;

/** A stub resolver that asks DoH servers until `signal` aborts. Never rejects for what a server, a network or a token file does. */
export function createStub(doh: DohServers, signal: AbortSignal): Stub {
  return async function ask(name, type) {
    let answer: ServersAnswer;
    try {
      answer = await queryDohServers(doh, name, type, signal);
    } catch (fault) {
      if (fault instanceof BerthError) return { kind: "failed", failure: failureFrom(fault) };
      throw fault;
    }
    const { response, url } = answer;
    if (response.rcode === Rcode.NXDomain) return { kind: "nxdomain" };
    // A truncated answer has lost its RRs: taken at its word it would be NODATA.
    if (response.rcode === Rcode.NoError && !response.truncated) return { kind: "exists", response };
    const what = response.truncated ? "a truncated answer" : rcodeName(response.rcode);
    const reason = `${url} answered ${what} for ${displayName(name)}`;
    return { kind: "failed", failure: { kind: "no-answer", reason } };
  };
}

function failureFrom(fault: BerthError): Failure {
  const isAboutToken = fault.code === "token-refused" || fault.code === "no-token";
  return { kind: isAboutToken ? "no-token" : "no-answer", reason: describeFault(fault) };
}
