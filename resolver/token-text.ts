import { base32FromBytes, base64FromBytes } from "../shared/base64.ts";

/** Octets of chance that one token is made of. */
export const tokenOctets = 39;
/** A text past this was never given out, and is not worth hashing. */
export const maxTokenLength = 200;

const idLength = 10;
/** The fewest that fill ten characters of base32 (RFC 4648 §6). */
const idOctets = 7;
const shape = /^berth_([a-z2-7]{10})_[\w-]{43}$/;

/**
 * `berth_<id>_<secret>`: the first seven octets make the id, by which lists and logs name the token; the other 32 make the secret. The
 * prefix lets people and secret scanners see what it is.
 */
export function tokenFrom(random: Uint8Array): { id: string; text: string } {
  if (random.length !== tokenOctets) throw new RangeError(`a token is made of ${tokenOctets} octets`);
  const id = base32FromBytes(random.subarray(0, idOctets)).slice(0, idLength);
  const secret = base64FromBytes(random.subarray(idOctets)).replaceAll("+", "-").replaceAll("/", "_");
  return { id, text: `berth_${id}_${secret.replaceAll("=", "")}` };
}

/** The id in a token's text; undefined for a text of another form. */
export function tokenIdOf(text: string): string | undefined {
  return shape.exec(text)?.[1];
}

/** Lower-case hex SHA-256 of the whole text: what is kept instead of it. 256 bits of chance need no slow hash. */
export async function hashOfToken(text: string): Promise<string> {
  const octets = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** Whether two hashes are the same, in a time that tells nothing about where they differ. */
export function isSameHash(held: string, shown: string): boolean {
  let difference = held.length ^ shown.length;
  for (let index = 0; index < shown.length; index++) {
    difference |= held.charCodeAt(index) ^ shown.charCodeAt(index);
  }
  return difference === 0;
}
