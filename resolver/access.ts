import { hostIdSchema } from "../shared/binding.ts";
import { isInZone, type Name, nameBelow } from "../shared/name.ts";
import type { TokenKind, TokenScope } from "../shared/tokens.ts";

/** Who is behind a request, by the token it carried: what the registry may grant follows from it. */
export interface Access {
  tokenId: string;
  kind: TokenKind;
  /** Names are held for owners, not for tokens: a new token of the same owner goes on with the names of the old one. */
  owner: string;
  scope: TokenScope;
  /** Milliseconds since 1970, when what the token keeps open has to end; absent when it stays good until it is revoked. */
  expiresAt?: number;
}

export const everything: TokenScope = { names: [], hosts: [], maxBindings: null, maxLease: null };

/** Whose the names are that are declared with the token files: an operator's, who has not given any team its own token yet. */
export const bootstrapOwner = "operator";

/** What the token files beside the database stand for. Agents of all of them belong to one owner. */
export function bootstrapAccess(kind: TokenKind): Access {
  return { tokenId: `bootstrap-${kind}`, kind, owner: bootstrapOwner, scope: everything };
}

/** Whether a token of this scope may declare `name`. Patterns are relative to the zone; `*` stands for one label or more. */
export function allowsName(scope: TokenScope, name: Name, zone: Name): boolean {
  return scope.names.length === 0 || scope.names.some((pattern) => matchesName(pattern, name, zone));
}

/**
 * Whether it may speak for a host: by its declared label, or by its host id. What has the form of a host id names no label, because a
 * host says its label itself and could say another's id.
 */
export function allowsHost(scope: TokenScope, hostId: string, declaredLabel: string): boolean {
  const isNamed = (host: string) => host === (hostIdSchema.safeParse(host).success ? hostId : declaredLabel);
  return scope.hosts.length === 0 || scope.hosts.some(isNamed);
}

function matchesName(pattern: string, name: Name, zone: Name): boolean {
  if (pattern === "*") return isInZone(name, zone) && name !== zone;
  if (!pattern.startsWith("*.")) return name === nameBelow(pattern, zone);
  const above = nameBelow(pattern.slice(2), zone);
  return isInZone(name, above) && name !== above;
}
