/** RFC 4648 §4, with padding. */
export function base64FromBytes(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** Undefined for any text `base64FromBytes` would not have written: what is compared or hashed has one spelling only. */
export function bytesFromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return undefined;
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  return base64FromBytes(bytes) === text ? bytes : undefined;
}

/** RFC 4648 §5, without padding; undefined as with `bytesFromBase64`. */
export function bytesFromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[\w-]*$/.test(text)) return undefined;
  const padding = "=".repeat((4 - (text.length % 4)) % 4);
  return bytesFromBase64(text.replaceAll("-", "+").replaceAll("_", "/") + padding);
}

/** RFC 4648 §6 in lower case, without padding: what fits into a DNS label and a URL's path alike. */
export function base32FromBytes(bytes: Uint8Array): string {
  const alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => alphabet[Number.parseInt(group.padEnd(5, "0"), 2)]).join("");
}
