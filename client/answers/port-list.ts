import { askInTurn, isOutOfReach, type Servers } from "../../shared/ask-in-turn.ts";
import { RRType } from "../../shared/dns/constants.ts";
import { freshnessOf, type HttpFreshness } from "../../shared/dns/doh.ts";
import { type Protocol, portListOwner, servicePortsFromAnswer } from "../../shared/dns/endpoints.ts";
import { BerthError } from "../../shared/errors.ts";
import type { Name } from "../../shared/name.ts";
import { portsOfName } from "../../shared/resolver-client.ts";
import type { NamePorts, ServicePort } from "../stub-resolver.ts";
import { lifetimeFrom } from "./lifetime.ts";
import type { Asked } from "./remembered.ts";
import { failureFrom, type Stub } from "./stub.ts";

/** Seconds for which a list is kept whose resolver does not say. */
const usualTtl = 1;

interface PortListPorts {
  servers: Servers & { fetch: typeof fetch };
  /** For a resolver that does not have the list; with the caches the question may use. */
  ask: Stub;
}

/** The service ports of a name, of the resolver's own list or, of a resolver that has none, of the port lists in the DNS. */
export async function askPorts(
  name: Name,
  { servers, ask }: PortListPorts,
  options: { fresh: boolean; signal: AbortSignal },
): Promise<Asked<NamePorts>> {
  let http: HttpFreshness = { age: 0, maxAge: usualTtl };
  const noting = async (url: string, init: RequestInit): Promise<Response> => {
    const response = await servers.fetch(url, init);
    http = freshnessOf(response.headers);
    return response;
  };
  const list = (url: string, token: string | undefined, timeoutMs: number) => {
    const access = { fetch: noting, url, timeoutMs, ...(token === undefined ? {} : { token }) };
    const limit = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]);
    return portsOfName(access, name, { fresh: options.fresh, signal: limit });
  };
  try {
    const turn = { signal: options.signal, blames: isOutOfReach };
    const { reply } = await askInTurn(servers, list, turn);
    const ports = reply?.ports.map(({ protocol, servicePort }) => ({ protocol, port: servicePort })) ?? [];
    return askedOf(ports, await negativeAnswer(name, ports, ask), http);
  } catch (fault) {
    if (!(fault instanceof BerthError)) throw fault;
    // An older resolver has no such list, and says so only to who has a token.
    if (!isOutOfReach(fault) && fault.code !== "no-token") return portsOfDns(name, ask);
    return unanswered({ kind: "failed", failure: failureFrom(fault) });
  }
}

async function portsOfDns(name: Name, ask: Stub): Promise<Asked<NamePorts>> {
  const protocols: readonly Protocol[] = ["tcp", "udp"];
  const ports: ServicePort[] = [];
  for (const protocol of protocols) {
    const answer = await ask(portListOwner(name, protocol), RRType.PTR);
    if (answer.kind === "failed") return unanswered(answer);
    if (answer.kind !== "exists") continue;
    ports.push(...servicePortsFromAnswer(answer.response).map((port) => ({ protocol, port })));
  }
  // Their own TTL counts: the answers they were made of are remembered.
  return askedOf(ports, await negativeAnswer(name, ports, ask), { age: 0, maxAge: 0 });
}

/** NXDOMAIN and NODATA are told apart by the DNS only. */
async function negativeAnswer(name: Name, ports: readonly ServicePort[], ask: Stub) {
  if (ports.length > 0) return undefined;
  const answer = await ask(name, RRType.A);
  return answer.kind === "failed" ? undefined : answer;
}

function askedOf(
  ports: readonly ServicePort[],
  answer: Extract<NamePorts, { kind: "none" }>["answer"],
  http: HttpFreshness,
): Asked<NamePorts> {
  const isNone = ports.length === 0;
  const value: NamePorts = isNone ? { kind: "none", answer } : { kind: "ports", ports };
  const lifetime = lifetimeFrom(isNone ? usualTtl : (http.maxAge ?? usualTtl), http, isNone);
  return { value, lifetime, weight: 1 + ports.length };
}

function unanswered(value: Extract<NamePorts, { kind: "failed" }>): Asked<NamePorts> {
  const isUnanswered = value.failure.kind === "no-answer";
  return { value, lifetime: undefined, isUnanswered, weight: 0 };
}
