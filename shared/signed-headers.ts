import type { Turn } from "./binding.ts";
import { contentDigestOf } from "./content-digest.ts";
import { type ResolverAccess, type ResolverRequest, urlOf } from "./resolver-exchange.ts";
import { signRequest } from "./signature.ts";

/** What the signature of every request of a host covers. */
export const turnComponents = ["@method", "@path", "authorization", "berth-epoch", "berth-sequence"] as const;
/** Covered as well where there is a body, so that it is the one the host sent. */
export const bodyComponent = "content-digest";
/** Covered as well in the upgrade to a link, which renews a lease without a body. */
export const linkComponents = ["berth-digest", "berth-lease"] as const;

/** Which request of the host's process this is; the generation comes from the access. */
export type HostTurn = Omit<Turn, "generation">;

export interface HostRequest extends Omit<ResolverRequest, "signal" | "body"> {
  /** The very octets that will be sent. */
  body?: Uint8Array;
}

/**
 * All header fields of `request` as the host sends it: its own, the token, the turn and the signature over them, for the generation the
 * access knows. Its own fields among `linkComponents` are covered. Without a signer in the access there is no signature.
 */
export async function signedHeaders(
  access: ResolverAccess,
  request: HostRequest,
  { epoch, sequence }: HostTurn,
): Promise<Record<string, string>> {
  const { method, path, body } = request;
  const headers: Record<string, string> = {
    ...request.headers,
    authorization: `Bearer ${access.token}`,
    "berth-epoch": String(epoch),
    "berth-sequence": String(sequence),
    ...(body === undefined ? {} : { [bodyComponent]: await contentDigestOf(body) }),
  };
  if (access.signer === undefined) return headers;
  const covered = [...turnComponents, bodyComponent, ...linkComponents];
  const components = covered.filter((name) => name.startsWith("@") || name in headers);
  // Not Headers, which takes as much memory as the rest of an agent's requests.
  const fields = { get: (name: string) => headers[name] ?? null };
  const signable = { method, path: new URL(urlOf(access, path)).pathname, headers: fields };
  const claims = { nonce: access.generation?.current ?? "", ...createdAt(access) };
  return { ...headers, ...(await signRequest(access.signer, signable, components, claims)) };
}

function createdAt({ now }: ResolverAccess): { created?: number } {
  return now === undefined ? {} : { created: Math.floor(now() / 1000) };
}
