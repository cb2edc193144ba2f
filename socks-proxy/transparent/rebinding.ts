import { type Address, parseAddress } from "../../shared/address.ts";
import { RRClass, RRType } from "../../shared/dns/constants.ts";

/** TYPE, CLASS, TTL and RDLENGTH before the address of an RR (RFC 1035 §3.2.1); key and length before those of a hint (RFC 9460 §2.2). */
const [recordOctets, hintOctets] = [10, 4];

interface Family {
  recordType: number;
  /** The parameter of HTTPS and SVCB RRs that names addresses (RFC 9460 §7.3). */
  hintKey: number;
  length: number;
}
const families: readonly Family[] = [
  { recordType: RRType.A, hintKey: 4, length: 4 },
  { recordType: RRType.AAAA, hintKey: 6, length: 16 },
];

/**
 * Whether an answer from elsewhere has an address that `isOurs` is true of. A name outside the zones that leads there would let a page of
 * that name's speak to a service as if it were its own (DNS rebinding). The octets are searched and not parsed: what one parser refuses,
 * the client's may still read.
 */
export function leadsToUs(message: Uint8Array, isOurs: (address: Address) => boolean): boolean {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  return families.some((family) => {
    for (let at = 0; at + hintOctets + family.length <= message.length; at++) {
      const found = addressesAt(view, at, family);
      if (found !== undefined && isOneOurs(message.subarray(...found), family.length, isOurs)) return true;
    }
    return false;
  });
}

/** From where to where addresses stand, if an address RR's type or a hint's key is at `at`. */
function addressesAt(
  view: DataView,
  at: number,
  { recordType, hintKey, length }: Family,
): [number, number] | undefined {
  const code = view.getUint16(at);
  if (code === hintKey) {
    const [start, end] = [at + hintOctets, at + hintOctets + view.getUint16(at + 2)];
    return (end - start) % length === 0 && end <= view.byteLength ? [start, end] : undefined;
  }
  const start = at + recordOctets;
  if (code !== recordType || start + length > view.byteLength) return undefined;
  const isAddress = view.getUint16(at + 2) === RRClass.IN && view.getUint16(at + 8) === length;
  return isAddress ? [start, start + length] : undefined;
}

function isOneOurs(octets: Uint8Array, length: number, isOurs: (address: Address) => boolean): boolean {
  for (let at = 0; at < octets.length; at += length) {
    const address = addressFrom(octets.subarray(at, at + length));
    if (address !== undefined && isOurs(address)) return true;
  }
  return false;
}

function addressFrom(octets: Uint8Array): Address | undefined {
  if (octets.length === 4) return parseAddress(octets.join("."));
  const hex = [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("");
  return parseAddress(hex.replace(/(.{4})(?!$)/g, "$1:"));
}
