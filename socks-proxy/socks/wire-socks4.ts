import type { Destination } from "../../client/answers/destination.ts";
import { familyOf } from "../../shared/address.ts";
import {
  type BoundAddress,
  ipv4Destination,
  ipv4Octets,
  malformed,
  nameDestination,
  type Parsed,
} from "./wire.ts";

/**
 * SOCKS4 and 4a as their de-facto texts lay them out ("SOCKS: A protocol for TCP proxy across firewalls", Ying-Da Lee, and its 4A
 * extension): bytes in, values out. Nothing a client sends makes these functions throw.
 */

export const socks4Version = 4;
/** CD of a reply. 92 and 93 speak of identd, which nobody is asked. */
export const Socks4Reply = { Granted: 90, Rejected: 91 } as const;

/** Neither text limits them; names have 255 octets at most (RFC 1035 §2.3.4), and no more of a user id is ever wanted. */
const longestText = 255;
const userIdAt = 8;

export interface Socks4Request {
  command: number;
  destination: Destination;
}

/** VN, CD, DSTPORT, DSTIP, USERID, NUL; in 4a, when DSTIP is 0.0.0.x with an x other than 0, the name and another NUL. */
export function parseSocks4Request(bytes: Uint8Array): Parsed<Socks4Request> {
  const command = bytes[1];
  if (command === undefined || bytes.length <= userIdAt) return { kind: "incomplete" };
  const port = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  const userIdEnd = textEnd(bytes, userIdAt);
  if (userIdEnd === "too-long") return malformed("the user id is longer than 255 octets");
  if (userIdEnd === undefined) return { kind: "incomplete" };
  if (!isNameFollowing(bytes)) {
    const destination = ipv4Destination(bytes.subarray(4, 8), port);
    return { kind: "value", value: { command, destination }, length: userIdEnd + 1 };
  }
  const nameAt = userIdEnd + 1;
  const nameEnd = textEnd(bytes, nameAt);
  if (nameEnd === "too-long") return malformed("the domain name is longer than 255 octets");
  if (nameEnd === undefined) return { kind: "incomplete" };
  if (nameEnd === nameAt) return malformed("the domain name is empty");
  const destination = nameDestination(bytes.subarray(nameAt, nameEnd), port);
  return { kind: "value", value: { command, destination }, length: nameEnd + 1 };
}

/** VN 0, CD, DSTPORT, DSTIP; an IPv6 address has no place in it and reads as 0.0.0.0. */
export function encodeSocks4Reply(isGranted: boolean, { address, port }: BoundAddress): Uint8Array {
  const octets = familyOf(address) === 4 ? ipv4Octets(address) : [0, 0, 0, 0];
  const code = isGranted ? Socks4Reply.Granted : Socks4Reply.Rejected;
  return Uint8Array.of(0, code, port >> 8, port & 255, ...octets);
}

function isNameFollowing(bytes: Uint8Array): boolean {
  return bytes[4] === 0 && bytes[5] === 0 && bytes[6] === 0 && bytes[7] !== 0;
}

/** Where the NUL is; undefined while it has not come. */
function textEnd(bytes: Uint8Array, start: number): number | "too-long" | undefined {
  const end = bytes.indexOf(0, start);
  if (end === -1) return bytes.length - start > longestText ? "too-long" : undefined;
  return end - start > longestText ? "too-long" : end;
}
