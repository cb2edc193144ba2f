import { type Address, parseAddress } from "../../shared/address.ts";
import { BerthError } from "../../shared/errors.ts";

/** The loopback addresses that names get. A host part is an address's number within it, from 0. */
export interface AddressRange {
  /** The first address, as a number of 32 bits. */
  base: number;
  /** How many addresses there are. */
  size: number;
}

/** The first four groups of an IPv6 /64, whose host parts are those of the IPv4 range. */
export type Ipv6Prefix = readonly [number, number, number, number];

const loopbackNetwork = 127;
/** Fewer addresses are no range, and all of 127.0.0.0/8 would take the addresses other programs use. */
const [widest, narrowest] = [9, 24];
const reversePattern = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa\.$/;
const reverse6Pattern = /^((?:[0-9a-f]\.){32})ip6\.arpa\.$/;

/** Reads a CIDR. Throws a BerthError `bad-config` unless it is a part of 127.0.0.0/8. */
export function parseRange(text: string): AddressRange {
  const [, address = "", length = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const prefixLength = Number(length);
  const first = parseAddress(address);
  if (first === undefined || prefixLength < widest || prefixLength > narrowest) throw badRange(text);
  const size = 2 ** (32 - prefixLength);
  const base = numberOf(first);
  if (base >>> 24 !== loopbackNetwork || base % size !== 0) throw badRange(text);
  return { base, size };
}

/** Reads a /64, or `off`, which is undefined. Throws a BerthError `bad-config` unless it is a unique local one (RFC 4193). */
export function parseIpv6Prefix(text: string): Ipv6Prefix | undefined {
  if (text === "off") return undefined;
  const first = text.endsWith("/64") ? parseAddress(text.slice(0, -3)) : undefined;
  const groups = first?.includes(":") ? groupsOf(first) : [];
  const [a = 0, b = 0, c = 0, d = 0, ...host] = groups;
  if (groups.length !== 8 || (a & 0xfe00) !== 0xfc00 || host.some((group) => group !== 0)) {
    const message = `"${text}" is not a unique local /64, such as fd62:6572:7468::/64, nor "off"`;
    throw new BerthError("bad-config", message, { who: "--transparent-ipv6" });
  }
  return [a, b, c, d];
}

export function addressAt({ base }: AddressRange, host: number): Address {
  const number = base + host;
  return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255].join(".") as Address;
}

export function ipv6At(prefix: Ipv6Prefix, host: number): Address {
  const groups = [...prefix, 0, 0, host >>> 16, host & 0xffff].map((group) => group.toString(16));
  return parseAddress(groups.join(":")) as Address;
}

/** The host part of `address`, or undefined when it lies in neither. */
export function hostPartOf(address: Address, range: AddressRange, prefix?: Ipv6Prefix): number | undefined {
  if (!address.includes(":")) {
    const host = numberOf(address) - range.base;
    return host >= 0 && host < range.size ? host : undefined;
  }
  const groups = groupsOf(address);
  if (prefix === undefined || prefix.some((group, i) => group !== groups[i])) return undefined;
  const [high = 0, low = 0] = groups.slice(6);
  const host = high * 0x10000 + low;
  return groups[4] === 0 && groups[5] === 0 && host < range.size ? host : undefined;
}

/** The address a name of the reverse tree stands for (RFC 1035 §3.5, RFC 3596 §2.5); undefined for any other name. */
export function addressOfReverseName(name: string): Address | undefined {
  const [, ...octets] = reversePattern.exec(name) ?? [];
  if (octets.length === 4) return parseAddress(octets.reverse().join("."));
  const nibbles = reverse6Pattern.exec(name)?.[1]?.split(".").reverse().join("");
  return nibbles === undefined ? undefined : parseAddress(nibbles.replace(/(.{4})(?!$)/g, "$1:"));
}

function numberOf(address: Address): number {
  return address.split(".").reduce((number, octet) => number * 256 + Number(octet), 0);
}

/** `address` in canonical form, or IPv6 at least. */
function groupsOf(address: Address): number[] {
  const [before = "", after] = address.split("::");
  const [head, tail] = [before, after ?? ""].map((part) => part.split(":").filter((group) => group !== ""));
  const gap = after === undefined ? 0 : 8 - (head?.length ?? 0) - (tail?.length ?? 0);
  const groups = [...(head ?? []), ...Array<string>(gap).fill("0"), ...(tail ?? [])];
  return groups.map((group) => Number.parseInt(group, 16));
}

function badRange(text: string): BerthError {
  const message = `"${text}" is not a part of 127.0.0.0/8 from /${widest} to /${narrowest}, such as 127.64.0.0/10`;
  return new BerthError("bad-config", message, { who: "--transparent-range" });
}
