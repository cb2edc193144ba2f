import type { Destination } from "../../client/answers/destination.ts";
import { addressOctets, type BoundAddress, parseDestination } from "./wire.ts";

/** The UDP request header of RFC 1928 §7: RSV, RSV, FRAG, ATYP, DST.ADDR, DST.PORT, DATA. */

/** Why a datagram is dropped; it is told to nobody (RFC 1928 §7) but counted. */
export type DatagramFault = "malformed" | "fragment";

export type ParsedDatagram =
  | { kind: "datagram"; destination: Destination; payload: Uint8Array }
  | { kind: "fault"; fault: DatagramFault };

/** `payload` is a part of `bytes`; it may be empty. RSV is not looked at: nothing hangs on it. */
export function parseDatagram(bytes: Uint8Array): ParsedDatagram {
  const fragment = bytes[2];
  const parsed = parseDestination(bytes, 3);
  if (parsed.kind !== "value") return { kind: "fault", fault: "malformed" };
  // RFC 1928 §7: who does not put fragments together MUST drop what is one.
  if (fragment !== 0) return { kind: "fault", fault: "fragment" };
  return { kind: "datagram", destination: parsed.value, payload: bytes.subarray(parsed.length) };
}

/** What stands before the payload of a datagram that came from `source`. */
export function encodeDatagramHeader(source: BoundAddress): Uint8Array {
  return Uint8Array.of(0, 0, 0, ...addressOctets(source));
}
