import { generateKeyPairSync } from "node:crypto";

import { hostIdOf, hostSigner } from "../../agent/host-key.ts";
import type { Declared } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import type { ResolverAccess } from "../../shared/resolver-exchange.ts";
import { type HostRequest, signedHeaders } from "../../shared/signed-headers.ts";
import { declaredAt } from "../registry.ts";

/** A host with a key of its own, as its agent speaks for it; what it sends is made and signed before any clock starts. */
export interface SignedHost {
  hostId: string;
  /** What it declared last, and how often it has changed it. */
  declared: Declared;
  digest: string;
  changes: number;
  sequence: number;
  access: ResolverAccess;
}

export interface SignedRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: Uint8Array;
}

const epoch = 1;

export async function makeHost(
  index: number,
  access: Omit<ResolverAccess, "signer" | "fetch" | "timeoutMs">,
): Promise<SignedHost> {
  const { privateKey } = generateKeyPairSync("ed25519");
  const declared = declaredAt(index, 0);
  const signer = hostSigner(privateKey);
  return {
    hostId: hostIdOf(privateKey),
    declared,
    digest: await digestOf(declared),
    changes: 0,
    sequence: 0,
    access: { ...access, signer, fetch, timeoutMs: 0 },
  };
}

export function signPush(host: SignedHost, lease: number): Promise<SignedRequest> {
  const { hostId, digest, declared } = host;
  return sign(host, { method: "PUT", path: `/v1/hosts/${hostId}` }, { lease, digest, declared });
}

/** Moves the host's first binding to another port, and signs the delta that says so. */
export async function signChange(host: SignedHost, index: number, lease: number): Promise<SignedRequest> {
  const base = host.digest;
  host.declared = declaredAt(index, ++host.changes);
  host.digest = await digestOf(host.declared);
  const { bindings, ...declared } = host.declared;
  const changed = bindings.slice(0, 1);
  const body = { lease, digest: host.digest, base, declared, changed, gone: [] };
  return sign(host, { method: "PATCH", path: `/v1/hosts/${host.hostId}` }, body);
}

export function signRenewal(host: SignedHost, lease: number): Promise<SignedRequest> {
  const { hostId, digest } = host;
  return sign(host, { method: "PUT", path: `/v1/hosts/${hostId}/lease` }, { lease, digest });
}

/** The upgrade to a link. */
export function signLink(host: SignedHost, lease: number): Promise<SignedRequest> {
  const headers = { "berth-digest": host.digest, "berth-lease": String(lease) };
  return sign(host, { method: "GET", path: `/v1/hosts/${host.hostId}/link`, headers });
}

async function sign(host: SignedHost, request: HostRequest, content?: object): Promise<SignedRequest> {
  const turn = { epoch, sequence: ++host.sequence };
  const { method, path } = request;
  if (content === undefined)
    return { method, path, headers: await signedHeaders(host.access, request, turn) };
  const body = new TextEncoder().encode(JSON.stringify(content));
  const typed = { method, path, body, headers: { "content-type": "application/json" } };
  return { method, path, body, headers: await signedHeaders(host.access, typed, turn) };
}
