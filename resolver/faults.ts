import { BerthError } from "../shared/errors.ts";

/** The one table from a fault's code to its HTTP status. docs/protocol.md explains each. */
export const statusByCode = {
  "malformed-message": 400,
  "malformed-json": 400,
  "malformed-name": 400,
  "bad-link-request": 400,
  "unknown-token": 401,
  "token-expired": 401,
  "token-revoked": 401,
  "bad-signature": 401,
  "unknown-generation": 401,
  "token-not-allowed": 403,
  "host-not-allowed": 403,
  "local-host-refused": 403,
  "not-found": 404,
  "unknown-host": 404,
  "unknown-hold": 404,
  "unknown-name": 404,
  "unknown-token-id": 404,
  "method-not-allowed": 405,
  "unknown-digest": 409,
  superseded: 409,
  "name-live": 409,
  "body-too-large": 413,
  "bad-content-type": 415,
  "invalid-body": 422,
  "bad-backup": 422,
  "newer-schema": 422,
  "upgrade-required": 426,
  internal: 500,
  "not-supported": 501,
  "too-many-links": 503,
  "too-many-feeds": 503,
  "store-unavailable": 503,
  "disk-full": 503,
} as const;
export type FaultCode = keyof typeof statusByCode;

/** The reply to a request that failed. A fault nobody foresaw goes to `noteUnforeseen` in full, and is answered blandly. */
export function replyToFault(fault: unknown, noteUnforeseen: (fault: unknown) => void): Response {
  if (fault instanceof BerthError && Object.hasOwn(statusByCode, fault.code)) return faultReply(fault);
  noteUnforeseen(fault);
  return faultReply(new BerthError("internal", "the resolver failed; its log says how"));
}

function faultReply(fault: BerthError): Response {
  const status = statusByCode[fault.code as FaultCode];
  const body = { error: { code: fault.code, message: fault.message, ...fault.facts } };
  return Response.json(body, { status, headers: headersOf(status) });
}

function headersOf(status: number): Record<string, string> {
  if (status === 401) return { "www-authenticate": "Bearer" };
  if (status === 405) return { allow: "GET, POST" };
  // The store may be back by then (RFC 9110 §10.2.3).
  if (status === 503) return { "retry-after": "5" };
  return {};
}
