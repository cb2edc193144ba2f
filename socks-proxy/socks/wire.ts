import type { Destination } from "../../client/answers/destination.ts";
import { type Address, familyOf, parseAddress } from "../../shared/address.ts";

/** SOCKS5 as RFC 1928 lays it out: bytes in, values out. Nothing a client sends makes these functions throw. */

/** RFC 1928 §3. */
export const socksVersion = 5;
export const Method = { NoAuthentication: 0x00, UsernamePassword: 0x02, NoneAcceptable: 0xff } as const;
export type Method = (typeof Method)[keyof typeof Method];

/** RFC 1928 §4; the last two are Tor's own (its "Tor's extensions to the SOCKS protocol"). */
export const Command = { Connect: 1, Bind: 2, UdpAssociate: 3, Resolve: 0xf0, ResolvePtr: 0xf1 } as const;
const AddressType = { IPv4: 1, DomainName: 3, IPv6: 4 } as const;

/** RFC 1928 §6. */
export const Rep = {
  Succeeded: 0,
  GeneralFailure: 1,
  NotAllowed: 2,
  NetworkUnreachable: 3,
  HostUnreachable: 4,
  ConnectionRefused: 5,
  TtlExpired: 6,
  CommandNotSupported: 7,
  AddressTypeNotSupported: 8,
} as const;
export type Rep = (typeof Rep)[keyof typeof Rep];

/** What stands at the start of `bytes`. `length` octets belong to the value; the rest is the next message's, or early data. */
export type Parsed<T> =
  | { kind: "value"; value: T; length: number }
  | { kind: "incomplete" }
  | { kind: "fault"; fault: WireFault };

export type WireFault =
  | { kind: "address-type-not-supported"; addressType: number }
  | { kind: "malformed-request"; reason: string };

/** `command` is any octet: a well-formed request for something else deserves its own reply. */
export interface Request {
  command: number;
  destination: Destination;
}

export interface BoundAddress {
  address: Address;
  port: number;
}

export const unspecified: BoundAddress = { address: "0.0.0.0" as Address, port: 0 };

// A byte order mark at the start is a part of what the client sent, and makes it no name.
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** VER, NMETHODS, METHODS (RFC 1928 §3). An empty list is no fault: it offers nothing acceptable. */
export function parseMethods(bytes: Uint8Array): Parsed<Uint8Array> {
  const [version, count] = bytes;
  if (version !== undefined && version !== socksVersion) return malformed(`the version is ${version}, not 5`);
  if (count === undefined || bytes.length < 2 + count) return { kind: "incomplete" };
  return { kind: "value", value: bytes.subarray(2, 2 + count), length: 2 + count };
}

/** VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT (RFC 1928 §4). RSV is not looked at: nothing hangs on it. */
export function parseRequest(bytes: Uint8Array): Parsed<Request> {
  const [version, command] = bytes;
  if (version !== undefined && version !== socksVersion) return malformed(`the version is ${version}, not 5`);
  if (command === undefined) return { kind: "incomplete" };
  const parsed = parseDestination(bytes, 3);
  if (parsed.kind !== "value") return parsed;
  return { kind: "value", value: { command, destination: parsed.value }, length: parsed.length };
}

/** ATYP, address and port as requests and datagrams carry them (RFC 1928 §4, §5, §7), from octet `at` on; `length` is where they end. */
export function parseDestination(bytes: Uint8Array, at: number): Parsed<Destination> {
  const addressType = bytes[at];
  const nameLength = bytes[at + 1];
  if (addressType === undefined) return { kind: "incomplete" };
  switch (addressType) {
    case AddressType.IPv4:
      return destinationBetween(bytes, at + 1, at + 5, ipv4Destination);
    case AddressType.IPv6:
      return destinationBetween(bytes, at + 1, at + 17, ipv6Destination);
    case AddressType.DomainName:
      if (nameLength === undefined) return { kind: "incomplete" };
      if (nameLength === 0) return malformed("the domain name is empty");
      return destinationBetween(bytes, at + 2, at + 2 + nameLength, nameDestination);
    default:
      return { kind: "fault", fault: { kind: "address-type-not-supported", addressType } };
  }
}

/** VER, METHOD (RFC 1928 §3). */
export function encodeMethodSelection(method: Method): Uint8Array {
  return Uint8Array.of(socksVersion, method);
}

/** VER, REP, RSV, ATYP, BND.ADDR, BND.PORT (RFC 1928 §6), always at full length. */
export function encodeReply(rep: Rep, boundAddress: BoundAddress): Uint8Array {
  return Uint8Array.of(socksVersion, rep, 0, ...addressOctets(boundAddress));
}

/** A reply whose BND.ADDR is a name of at most 255 octets and whose BND.PORT is 0, as Tor answers RESOLVE_PTR. */
export function encodeNameReply(name: string): Uint8Array {
  const octets = new TextEncoder().encode(name).subarray(0, 255);
  return Uint8Array.of(
    socksVersion,
    Rep.Succeeded,
    0,
    AddressType.DomainName,
    octets.length,
    ...octets,
    0,
    0,
  );
}

/** ATYP, address and port, as they stand in replies and datagrams. */
export function addressOctets({ address, port }: BoundAddress): number[] {
  return familyOf(address) === 4
    ? [AddressType.IPv4, ...ipv4Octets(address), port >> 8, port & 255]
    : [AddressType.IPv6, ...ipv6Octets(address), port >> 8, port & 255];
}

export function ipv4Octets(address: Address): number[] {
  return address.split(".").map(Number);
}

export function ipv4Destination(octets: Uint8Array, port: number): Destination {
  return { kind: "address", address: octets.join(".") as Address, port };
}

/** Some clients send an address as text, IPv6 even in a URL's brackets: it is an address all the same. */
export function nameDestination(octets: Uint8Array, port: number): Destination {
  const text = utf8.decode(octets);
  // What ends like a name and has no colon is no address; the full look at each name would be the dearest part of its request.
  const address = /[\d:\]]$|:/.test(text) ? parseAddress(text.replace(/^\[(.*)\]$/, "$1")) : undefined;
  return address === undefined ? { kind: "name", name: text, port } : { kind: "address", address, port };
}

export function malformed(reason: string): Parsed<never> {
  return { kind: "fault", fault: { kind: "malformed-request", reason } };
}

function destinationBetween(
  bytes: Uint8Array,
  start: number,
  portAt: number,
  destinationFrom: (octets: Uint8Array, port: number) => Destination,
): Parsed<Destination> {
  const high = bytes[portAt];
  const low = bytes[portAt + 1];
  if (high === undefined || low === undefined) return { kind: "incomplete" };
  const value = destinationFrom(bytes.subarray(start, portAt), (high << 8) | low);
  return { kind: "value", value, length: portAt + 2 };
}

function ipv6Destination(octets: Uint8Array, port: number): Destination {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0)).toString(16),
  );
  // Any eight groups are an address; what is IPv4-mapped becomes its IPv4 one.
  return { kind: "address", address: parseAddress(groups.join(":")) as Address, port };
}

function ipv6Octets(address: Address): number[] {
  const [left = [], right = []] = address
    .split("::")
    .map((half) => (half === "" ? [] : half.split(":").map((group) => Number.parseInt(group, 16))));
  const zeros = Array<number>(8 - left.length - right.length).fill(0);
  return [...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 255]);
}
