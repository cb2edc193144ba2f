import { base64FromBytes } from "./base64.ts";
import { parseDictionary } from "./structured-fields.ts";

/** The value of a Content-Digest field (RFC 9530 §2) for a body of these octets. */
export async function contentDigestOf(body: Uint8Array): Promise<string> {
  return `sha-256=:${await sha256Base64(body)}:`;
}

/**
 * Whether `field` carries the SHA-256 of `body`; digests by other algorithms beside it do not matter. Throws a BerthError `bad-field` for a
 * field that is malformed.
 */
export async function matchesContentDigest(field: string, body: Uint8Array): Promise<boolean> {
  const member = parseDictionary(field).get("sha-256");
  if (member === undefined || !("bare" in member) || member.bare.kind !== "bytes") return false;
  return member.bare.value === (await sha256Base64(body));
}

async function sha256Base64(body: Uint8Array): Promise<string> {
  return base64FromBytes(new Uint8Array(await crypto.subtle.digest("SHA-256", body)));
}
