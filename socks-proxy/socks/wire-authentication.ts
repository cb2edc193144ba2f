import type { Parsed } from "./wire.ts";

/** The username/password sub-negotiation of RFC 1929: bytes in, values out. */

/** Of the sub-negotiation, not of SOCKS. */
const version = 1;

/** Octets of the buffer they were parsed from: good until that is written again. */
export interface Credentials {
  name: Uint8Array;
  password: Uint8Array;
}

export type ParsedCredentials =
  | Exclude<Parsed<Credentials>, { kind: "fault" }>
  | { kind: "fault"; reason: string };

/** VER, ULEN, UNAME, PLEN, PASSWD (RFC 1929 §2). Both are 1 to 255 octets there; an empty one is a value here, and nobody's. */
export function parseCredentials(bytes: Uint8Array): ParsedCredentials {
  const nameLength = bytes[1];
  if (bytes[0] !== undefined && bytes[0] !== version) {
    return {
      kind: "fault",
      reason: `the version of the username/password negotiation is ${bytes[0]}, not 1`,
    };
  }
  if (nameLength === undefined) return { kind: "incomplete" };
  const passwordAt = 2 + nameLength + 1;
  const passwordLength = bytes[passwordAt - 1];
  if (passwordLength === undefined || bytes.length < passwordAt + passwordLength)
    return { kind: "incomplete" };
  const name = bytes.subarray(2, 2 + nameLength);
  const password = bytes.subarray(passwordAt, passwordAt + passwordLength);
  return { kind: "value", value: { name, password }, length: passwordAt + passwordLength };
}

/** VER, STATUS (RFC 1929 §2): 0 is success; every other status ends the connection. */
export function encodeAuthenticationStatus(isAuthenticated: boolean): Uint8Array {
  return Uint8Array.of(version, isAuthenticated ? 0 : 1);
}
