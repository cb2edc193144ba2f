import { isAboutToken } from "../../shared/ask-in-turn.ts";
import { Rcode, RRType, rcodeName } from "../../shared/dns/constants.ts";
import type { Response as DnsResponse } from "../../shared/dns/message.ts";
import { type DohServers, queryDohServers, type ServersAnswer } from "../../shared/doh-servers.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import { displayName, type Name } from "../../shared/name.ts";
import { lifetimeOf } from "./lifetime.ts";
import type { Asked } from "./remembered.ts";
import type { Resolution } from "./resolution.ts";

/** A stub resolver's three outcomes. `exists` may be NODATA: the name is there, with or without RRs of the type asked for. */
export type Answer =
  | { kind: "exists"; response: DnsResponse; staleUntil?: number }
  | { kind: "nxdomain"; response: DnsResponse }
  | { kind: "failed"; failure: Failure };

export type Failure = Extract<Resolution, { kind: "no-answer" | "no-token" }>;

export type Stub = (name: Name, type: number) => Promise<Answer>;

/** One question to DoH servers until `signal` aborts. Never rejects for what a server, a network or a token file does. */
export async function askDns(
  doh: DohServers,
  { name, type }: { name: Name; type: number },
  options: { fresh: boolean; signal: AbortSignal },
): Promise<Asked<Answer>> {
  try {
    return askedFrom(await queryDohServers(doh, name, type, options), name, type);
  } catch (fault) {
    if (fault instanceof BerthError) return unanswered(failureFrom(fault));
    throw fault;
  }
}

export function failureFrom(fault: BerthError): Failure {
  const isOfToken = isAboutToken(fault) || fault.code === "no-token";
  return { kind: isOfToken ? "no-token" : "no-answer", reason: describeFault(fault) };
}

function askedFrom({ response, url }: ServersAnswer, name: Name, type: number): Asked<Answer> {
  const { rcode, truncated, authority, additional, http } = response;
  const weight = 1 + response.answer.length + additional.length;
  if (rcode === Rcode.NXDomain) {
    const absent = { rcode, truncated, answer: [], authority, additional: [] };
    const value = { kind: "nxdomain", response: absent } as const;
    return { value, lifetime: lifetimeOf(absent, http), isAbsent: true, weight };
  }
  const answer = response.answer.filter((rr) => rr.name === name && isOfType(rr.rdata.type, type));
  const fault = faultIn(response, answer.length);
  if (fault !== undefined) {
    const reason = `${url} answered ${fault} for ${displayName(name)}`;
    return unanswered({ kind: "no-answer", reason });
  }
  const own = { rcode, truncated, answer, authority, additional };
  return { value: { kind: "exists", response: own }, lifetime: lifetimeOf(own, http), weight };
}

function faultIn({ rcode, truncated, answer }: DnsResponse, fitting: number): string | undefined {
  if (rcode !== Rcode.NoError) return rcodeName(rcode);
  // It has lost its RRs: taken at its word it would be NODATA.
  if (truncated) return "a truncated answer";
  return fitting === 0 && answer.length > 0 ? "with what was not asked for" : undefined;
}

function isOfType(type: number, asked: number): boolean {
  return asked === type || asked === RRType.ANY;
}

/** A resolver that wants a token is there, so what it said before does not stand in for what it says now. */
function unanswered(failure: Failure): Asked<Answer> {
  const isUnanswered = failure.kind === "no-answer";
  return { value: { kind: "failed", failure }, lifetime: undefined, isUnanswered, weight: 0 };
}
