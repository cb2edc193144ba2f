import { type Address, parseAddress } from "../../shared/address.ts";
import { RRClass, RRType } from "../../shared/dns/constants.ts";

/** TYPE, CLASS, TTL and RDLENGTH before the address (RFC 1035 §3.2.1). */
const fixedOctets = 10;
const addressTypes = [
  { type: RRType.A, length: 4 },
  { type: RRType.AAAA, length: 16 },
] as const;

/**
 * Whether an answer from elsewhere has an address RR that `isOurs` is true of. A name outside the zones that leads there would let a page of
 * that name's speak to a service as if it were its own (DNS rebinding). The octets are searched and not parsed: what one parser refuses,
 * the client's may still read.
 */
export function leadsToUs(message: Uint8Array, isOurs: (address: Address) => boolean): boolean {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  for (const { type, length } of addressTypes) {
    for (let at = 0; at + fixedOctets + length <= message.length; at++) {
      if (view.getUint16(at) !== type || view.getUint16(at + 2) !== RRClass.IN) continue;
      if (view.getUint16(at + 8) !== length) continue;
      const address = addressFrom(message.subarray(at + fixedOctets, at + fixedOctets + length));
      if (address !== undefined && isOurs(address)) return true;
    }
  }
  return false;
}

function addressFrom(octets: Uint8Array): Address | undefined {
  if (octets.length === 4) return parseAddress(octets.join("."));
  const hex = [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("");
  return parseAddress(hex.replace(/(.{4})(?!$)/g, "$1:"));
}
