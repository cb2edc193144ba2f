import type { Destination } from "../../client/answers/destination.ts";
import type { Address } from "../../shared/address.ts";
import { displayName, type Name } from "../../shared/name.ts";

/**
 * Addresses that stand for names, for programs that resolve by the proxy (Tor's RESOLVE) and then connect to what they were told: a name
 * of a zone has no address that would do for all its ports. A CONNECT to a stand-in is one to its name.
 *
 * They are of 240.0.0.0/5, a part of what RFC 1112 §4 keeps for the future: nobody is reached there, so a program that passes the proxy
 * by goes nowhere instead of to somebody else. Loopback addresses would not do: torsocks refuses to connect to them, or, told to allow
 * it (AllowOutboundLocalhost), connects past the proxy.
 */
export interface StandIns {
  /** The same for a name whenever it is asked for, after a restart too, but for names whose hashes meet. */
  addressFor(name: Name): Address;
  /** The name an address stands for; `unknown` for one that may have stood for a name before a restart. */
  meaningOf(address: Address): { kind: "name"; name: Name } | { kind: "unknown" } | undefined;
}

/** Names that are remembered, those asked for last; a few MB. */
const mostNames = 16_384;
const first = 240 * 2 ** 24;
const count = 8 * 2 ** 24;

export function createStandIns(most = mostNames): StandIns {
  const nameByAddress = new Map<Address, Name>();
  const addressByName = new Map<Name, Address>();
  return {
    addressFor(name) {
      const address = addressByName.get(name) ?? freeAddress(name, nameByAddress);
      // At the end of both, where the last ones are.
      addressByName.delete(name);
      nameByAddress.delete(address);
      addressByName.set(name, address);
      nameByAddress.set(address, name);
      if (addressByName.size > most) forgetOldest(nameByAddress, addressByName);
      return address;
    },
    meaningOf(address) {
      if (!/^24[0-7]\./.test(address)) return undefined;
      const name = nameByAddress.get(address);
      return name === undefined ? { kind: "unknown" } : { kind: "name", name };
    },
  };
}

/** `destination` with a stand-in turned back into its name; what stands for nothing any more leads nowhere. */
export function meantDestination(
  destination: Destination,
  standIns: StandIns,
): Destination | { kind: "not-found"; reason: string } {
  if (destination.kind === "name") return destination;
  const meaning = standIns.meaningOf(destination.address);
  if (meaning === undefined) return destination;
  // As clients write names, and so as the log has them.
  if (meaning.kind === "name")
    return { kind: "name", name: displayName(meaning.name), port: destination.port };
  return { kind: "not-found", reason: "it stands for no name now; resolve the name again" };
}

function freeAddress(name: Name, taken: ReadonlyMap<Address, Name>): Address {
  for (let offset = hash(name) % count; ; offset = (offset + 1) % count) {
    const address = addressAt(first + offset);
    if (!taken.has(address)) return address;
  }
}

function forgetOldest(nameByAddress: Map<Address, Name>, addressByName: Map<Name, Address>): void {
  const [oldest] = addressByName;
  if (oldest === undefined) return;
  addressByName.delete(oldest[0]);
  nameByAddress.delete(oldest[1]);
}

/** FNV-1a, 32 bits: it need not withstand anybody, as names whose hashes meet each get an address all the same. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return state >>> 0;
}

function addressAt(number: number): Address {
  return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join(".") as Address;
}
