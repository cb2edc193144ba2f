import { z } from "zod";

import { type AuditList, auditListSchema } from "./audit.ts";
import { backupPath, backupType, type RestoreReport, restoreReportSchema } from "./backup.ts";
import { BerthError } from "./errors.ts";
import { type Name, nameSchema } from "./name.ts";
import { badReply, exchange, type ResolverAccess, sendRequest } from "./resolver-exchange.ts";
import {
  type CreatedToken,
  createdTokenSchema,
  type NewToken,
  type TokenList,
  tokenListSchema,
} from "./tokens.ts";

export { listHosts, listNames, withdrawHost as withdrawHostAsAdmin } from "./resolver-client.ts";

/*
 * What an operator asks of a resolver. Every function throws a BerthError as those in resolver-client.ts do; without an admin's token its
 * code is `token-not-allowed`.
 */

export async function createToken(access: ResolverAccess, token: NewToken): Promise<CreatedToken> {
  const body = new TextEncoder().encode(JSON.stringify(token));
  const headers = { "content-type": "application/json" };
  return exchange(access, createdTokenSchema, { method: "POST", path: "/v1/tokens", headers, body });
}

export async function listTokens(access: ResolverAccess): Promise<TokenList> {
  return exchange(access, tokenListSchema, { method: "GET", path: "/v1/tokens" });
}

/** False when there is no such token. One that was revoked before is revoked all the same. */
export async function revokeToken(access: ResolverAccess, id: string): Promise<boolean> {
  return remove(access, `/v1/tokens/${encodeURIComponent(id)}`, "unknown-token-id");
}

/** False when nobody held the name. Throws `name-live` when the holder's hosts serve it. */
export async function releaseName(access: ResolverAccess, name: Name): Promise<boolean> {
  return remove(access, `/v1/names/${encodeURIComponent(name)}/hold`, "unknown-hold");
}

/** The newest `limit` entries, the newest last. */
export async function listAudit(access: ResolverAccess, limit: number): Promise<AuditList> {
  return exchange(access, auditListSchema, { method: "GET", path: `/v1/audit?limit=${limit}` });
}

/** The zone the resolver answers for; no token is looked at. */
export async function readZone(access: ResolverAccess): Promise<Name> {
  const schema = z.object({ zone: nameSchema });
  return (await exchange(access, schema, { method: "GET", path: "/healthz" })).zone;
}

/** The registry as it is, as octets of a file; reading them throws when they break off. The time limit is the signal's: a large one takes as long as it takes. */
export async function fetchBackup(
  access: ResolverAccess<Response>,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const response = await sendRequest(access, { method: "GET", path: backupPath, signal });
  const isFile = response.headers.get("content-type") === backupType;
  // With a length, fetch tells a copy that broke off from a whole one.
  const isBounded = response.headers.has("content-length");
  if (isFile && isBounded && response.body !== null) return response.body;
  await response.body?.cancel();
  throw badReply(access, response.status);
}

/** Has the resolver take over what `file` holds and no agent can bring again. Throws `bad-backup` when it is no copy. */
export async function sendBackup(
  access: ResolverAccess,
  file: Blob,
  signal: AbortSignal,
): Promise<RestoreReport> {
  const headers = { "content-type": backupType };
  const request = { method: "PUT", path: backupPath, headers, body: file, signal };
  return exchange(access, restoreReportSchema, request);
}

async function remove(access: ResolverAccess, path: string, notThere: string): Promise<boolean> {
  try {
    const response = await sendRequest(access, { method: "DELETE", path });
    await response.text();
    if (response.status !== 204) throw badReply(access, response.status);
    return true;
  } catch (fault) {
    if (fault instanceof BerthError && fault.code === notThere) return false;
    throw fault;
  }
}
