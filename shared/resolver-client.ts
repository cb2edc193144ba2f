import type { Address } from "./address.ts";
import type { Delta, Push, PushReply, Renewal } from "./binding.ts";
import { pushReplySchema } from "./binding.ts";
import { BerthError } from "./errors.ts";
import { displayName, type Name } from "./name.ts";
import {
  type HostList,
  hostListSchema,
  type NameList,
  nameListSchema,
  observedSchema,
  type PortList,
  portListSchema,
  type ServiceList,
  serviceListSchema,
  zoneListSchema,
} from "./registry-views.ts";
import {
  badReply,
  exchange,
  type HttpReply,
  type LookupAccess,
  type ResolverAccess,
  type ResolverRequest,
  readReply,
  sendRequest,
} from "./resolver-exchange.ts";
import { type HostRequest, type HostTurn, signedHeaders } from "./signed-headers.ts";

export type { KnownGeneration, LookupAccess, ResolverAccess } from "./resolver-exchange.ts";
export { type HostTurn, signedHeaders } from "./signed-headers.ts";

/*
 * Every function throws a BerthError. Its code is the resolver's own (`superseded`, `unknown-digest`, `unknown-token`, ...; facts carry
 * heldEpoch and leaseRemaining), or `resolver-unreachable` (retryable) when no reply came, or `bad-reply` when it was not berth's.
 * What speaks for a host is signed by `access.signer`; the registry's generation is learnt and remembered in `access.generation`.
 */

export async function pushBindings(
  access: ResolverAccess,
  hostId: string,
  push: Omit<Push, "generation">,
): Promise<PushReply> {
  const { lease, digest, declared } = push;
  return signedExchange(access, "PUT", `/v1/hosts/${hostId}`, push, { lease, digest, declared });
}

/** Throws `unknown-digest` when the resolver does not hold the set `delta.base`: then the whole set is to be pushed. */
export async function pushDelta(
  access: ResolverAccess,
  hostId: string,
  delta: Omit<Delta, "generation">,
): Promise<PushReply> {
  const { lease, digest, base, declared, changed, gone } = delta;
  const body = { lease, digest, base, declared, changed, gone };
  return signedExchange(access, "PATCH", `/v1/hosts/${hostId}`, delta, body);
}

export async function renewLease(
  access: ResolverAccess,
  hostId: string,
  renewal: Omit<Renewal, "generation">,
): Promise<PushReply> {
  const { lease, digest } = renewal;
  return signedExchange(access, "PUT", `/v1/hosts/${hostId}/lease`, renewal, { lease, digest });
}

/** Resolves to false when the resolver held nothing of this host. The host itself says whose turn it is; an admin has none. */
export async function withdrawHost(
  access: ResolverAccess,
  hostId: string,
  turn?: HostTurn,
): Promise<boolean> {
  const request = { method: "DELETE", path: `/v1/hosts/${hostId}` };
  try {
    const response =
      turn === undefined ? await sendRequest(access, request) : await sendSigned(access, request, turn);
    // Read to its end, which is none: an unread reply would keep the connection.
    await response.text();
    if (response.status !== 204) throw badReply(access, response.status);
    return true;
  } catch (fault) {
    if (fault instanceof BerthError && fault.code === "unknown-host") return false;
    throw fault;
  }
}

export async function listHosts(access: ResolverAccess): Promise<HostList> {
  return exchange(access, hostListSchema, { method: "GET", path: "/v1/hosts" });
}

export async function listServices(access: ResolverAccess): Promise<ServiceList> {
  return exchange(access, serviceListSchema, { method: "GET", path: "/v1/services" });
}

export async function listNames(access: ResolverAccess): Promise<NameList> {
  return exchange(access, nameListSchema, { method: "GET", path: "/v1/names" });
}

/** How a lookup is asked. */
export interface LookupQuestion {
  /** Past every copy of the zone. */
  fresh?: boolean;
  /** Ends the exchange early, in the place of the access' time limit. */
  signal?: AbortSignal;
}

/** The zones the resolver answers for. Open to whoever may look names up. */
export async function listZones(access: LookupAccess, question: LookupQuestion = {}): Promise<Name[]> {
  return (await exchange(access, zoneListSchema, lookup("/v1/zones", question))).zones;
}

/** The ports of a name that are answered now; undefined when it has none, whether it exists or not. Open to whoever may look names up. */
export async function portsOfName(
  access: LookupAccess,
  name: Name,
  question: LookupQuestion = {},
): Promise<PortList | undefined> {
  try {
    return await exchange(access, portListSchema, lookup(`/v1/names/${displayName(name)}`, question));
  } catch (fault) {
    if (fault instanceof BerthError && fault.code === "unknown-name") return undefined;
    throw fault;
  }
}

function lookup(path: string, { fresh, signal }: LookupQuestion): ResolverRequest {
  const headers: Record<string, string> = fresh ? { "cache-control": "no-cache" } : {};
  return { method: "GET", path, headers, ...(signal === undefined ? {} : { signal }) };
}

/** The address this machine is seen by; that of its router behind NAT. An agent's token is needed. */
export async function observedAddress(access: ResolverAccess): Promise<Address> {
  const { address } = await exchange(access, observedSchema, { method: "GET", path: "/v1/observed" });
  return address;
}

async function signedExchange(
  access: ResolverAccess,
  method: string,
  path: string,
  turn: HostTurn,
  content: object,
): Promise<PushReply> {
  // These octets are signed and sent: JSON written twice need not be the same twice.
  const body = new TextEncoder().encode(JSON.stringify(content));
  const headers = { "content-type": "application/json" };
  const response = await sendSigned(access, { method, path, headers, body }, turn);
  return readReply(access, pushReplySchema, response);
}

/** A request signed for another life of the registry was not taken, so its turn is still to be had: once, for the life named. */
async function sendSigned(access: ResolverAccess, request: HostRequest, turn: HostTurn): Promise<HttpReply> {
  const known = access.generation ?? { current: "" };
  const signing = { ...access, generation: known };
  const signal = AbortSignal.timeout(access.timeoutMs);
  const send = async () =>
    sendRequest(access, { ...request, signal, headers: await signedHeaders(signing, request, turn) });
  try {
    return await send();
  } catch (fault) {
    const generation = generationIn(fault);
    if (generation === undefined || access.signer === undefined) throw fault;
    known.current = generation;
    return send();
  }
}

function generationIn(fault: unknown): string | undefined {
  if (!(fault instanceof BerthError) || fault.code !== "unknown-generation") return undefined;
  const { generation } = fault.facts;
  return typeof generation === "string" ? generation : undefined;
}
