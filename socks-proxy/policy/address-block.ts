import { type Address, familyOf, parseAddress } from "../../shared/address.ts";

/** A run of addresses of one family that share their first `bits` bits. */
export interface AddressBlock {
  octets: readonly number[];
  bits: number;
}

/** `address/bits`, or one address alone; undefined when `text` is neither. Bits of the address beyond the prefix are dropped. */
export function parseBlock(text: string): AddressBlock | undefined {
  const [addressText = "", bitsText, ...more] = text.split("/");
  const address = parseAddress(addressText);
  if (address === undefined || more.length > 0) return undefined;
  const octets = octetsOf(address);
  if (bitsText === undefined) return { octets, bits: octets.length * 8 };
  const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : Number.NaN;
  // An IPv4-mapped address has become an IPv4 one, and its prefix would mean something else.
  if (!(bits <= octets.length * 8) || (addressText.includes(":") && octets.length === 4)) return undefined;
  return { octets: octets.map((octet, index) => octet & maskOf(bits, index)), bits };
}

export function formatBlock({ octets, bits }: AddressBlock): string {
  return `${addressFrom(octets)}/${bits}`;
}

export function isInBlock(address: Address, block: AddressBlock): boolean {
  return startsWith(octetsOf(address), block);
}

/** Whether every address of `inner` is one of `outer` too. */
export function isWithin(inner: AddressBlock, outer: AddressBlock): boolean {
  return inner.bits >= outer.bits && startsWith(inner.octets, outer);
}

/**
 * The IPv4 address that an IPv6 one carries inside, and that a gateway, a tunnel or the kernel may take it for; undefined when there is
 * none. (An IPv4-mapped address is an IPv4 one already wherever addresses are parsed.)
 */
export function carriedAddress(address: Address): Address | undefined {
  if (familyOf(address) === 4) return undefined;
  const octets = octetsOf(address);
  const found = carriers.find(({ block }) => startsWith(octets, block));
  if (found !== undefined) return addressFrom(found.carried(octets));
  // ISATAP (RFC 5214 §6.1) marks the interface identifier, below any prefix.
  const isIsatap = ((octets[8] ?? 0) & ~2) === 0 && octets.slice(9, 12).join() === "0,94,254";
  return isIsatap ? addressFrom(octets.slice(12)) : undefined;
}

/** For texts of our own. Throws when it is none. */
export function blockOf(text: string): AddressBlock {
  const block = parseBlock(text);
  if (block === undefined) throw new TypeError(`${text} is not an address block`);
  return block;
}

const last = (octets: readonly number[]): number[] => octets.slice(12);

/** The first that matches counts. */
const carriers: readonly { block: AddressBlock; carried: (octets: readonly number[]) => number[] }[] = [
  // They name this machine themselves.
  { block: blockOf("::/127"), carried: (octets) => (octets[15] === 0 ? [0, 0, 0, 0] : [127, 0, 0, 1]) },
  // IPv4-compatible (RFC 4291 §2.5.5.1), IPv4-translated (RFC 2765 §2.1), NAT64 (RFC 6052 §2.1, RFC 8215).
  { block: blockOf("::/96"), carried: last },
  { block: blockOf("::ffff:0:0:0/96"), carried: last },
  { block: blockOf("64:ff9b::/96"), carried: last },
  { block: blockOf("64:ff9b:1::/48"), carried: last },
  // 6to4 (RFC 3056 §2).
  { block: blockOf("2002::/16"), carried: (octets) => octets.slice(2, 6) },
  // Teredo (RFC 4380 §4): the client's address with every bit turned over.
  { block: blockOf("2001::/32"), carried: (octets) => last(octets).map((octet) => octet ^ 0xff) },
];

function startsWith(octets: readonly number[], block: AddressBlock): boolean {
  if (octets.length !== block.octets.length) return false;
  return block.octets.every((octet, index) => ((octets[index] ?? 0) & maskOf(block.bits, index)) === octet);
}

/** The bits of the octet at `index` that a prefix of `bits` bits covers. */
function maskOf(bits: number, index: number): number {
  const covered = Math.min(8, Math.max(0, bits - index * 8));
  return (0xff00 >> covered) & 0xff;
}

function octetsOf(address: Address): number[] {
  if (familyOf(address) === 4) return address.split(".").map(Number);
  const [front = [], back] = address
    .split("::")
    .map((part) => part.split(":").filter((group) => group !== ""));
  const missing = back === undefined ? 0 : 8 - front.length - back.length;
  const groups = [...front, ...Array<string>(missing).fill("0"), ...(back ?? [])];
  return groups.map((group) => Number.parseInt(group, 16)).flatMap((group) => [group >> 8, group & 0xff]);
}

function addressFrom(octets: readonly number[]): Address {
  const groups = octets.flatMap((high, index) =>
    index % 2 === 0 ? [((high << 8) | (octets[index + 1] ?? 0)).toString(16)] : [],
  );
  const address = parseAddress(octets.length === 4 ? octets.join(".") : groups.join(":"));
  if (address === undefined) throw new TypeError(`${octets} are not the octets of an address`);
  return address;
}
