import type { Destination } from "../client/destination.ts";
import { type Address, familyOf, parseAddress } from "../shared/address.ts";

/** SOCKS5 as RFC 1928 lays it out: bytes in, values out. Nothing a client sends makes these functions throw. */

/** RFC 1928 §3. */
export const socksVersion = 5;
export const Method = { NoAuthentication: 0x00, NoneAcceptable: 0xff } as const;
export type Method = (typeof Method)[keyof typeof Method];

/** RFC 1928 §4. */
export const Command = { Connect: 1, Bind: 2, UdpAssociate: 3 } as const;
export const AddressType = { IPv4: 1, DomainName: 3, IPv6: 4 } as const;

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
  | { kind: "not-socks5"; firstOctet: number }
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

const utf8 = new TextDecoder();

/** VER, NMETHODS, METHODS (RFC 1928 §3). An empty list is no fault: it offers nothing acceptable. */
export function parseMethods(bytes: Uint8Array): Parsed<Uint8Array> {
  const [version, count] = bytes;
  if (version !== undefined && version !== socksVersion) return notSocks5(version);
  if (count === undefined || bytes.length < 2 + count) return { kind: "incomplete" };
  return { kind: "value", value: bytes.subarray(2, 2 + count), length: 2 + count };
}

/** VER, CMD, RSV, ATYP, DST.ADDR, DST.PORT (RFC 1928 §4). RSV is not looked at: nothing hangs on it. */
export function parseRequest(bytes: Uint8Array): Parsed<Request> {
  const [version, command, , addressType, nameLength] = bytes;
  if (version !== undefined && version !== socksVersion) return notSocks5(version);
  if (command === undefined || addressType === undefined) return { kind: "incomplete" };
  switch (addressType) {
    case AddressType.IPv4:
      return parseDestination(bytes, command, 4, 4, ipv4Destination);
    case AddressType.IPv6:
      return parseDestination(bytes, command, 4, 16, ipv6Destination);
    case AddressType.DomainName:
      if (nameLength === undefined) return { kind: "incomplete" };
      if (nameLength === 0) return fault({ kind: "malformed-request", reason: "the domain name is empty" });
      return parseDestination(bytes, command, 5, nameLength, nameDestination);
    default:
      return fault({ kind: "address-type-not-supported", addressType });
  }
}

/** VER, METHOD (RFC 1928 §3). */
export function encodeMethodSelection(method: Method): Uint8Array {
  return Uint8Array.of(socksVersion, method);
}

/** VER, REP, RSV, ATYP, BND.ADDR, BND.PORT (RFC 1928 §6), always at full length. */
export function encodeReply(rep: Rep, boundAddress: BoundAddress): Uint8Array {
  const { address, port } = boundAddress;
  const [type, octets] =
    familyOf(address) === 4
      ? [AddressType.IPv4, address.split(".").map(Number)]
      : [AddressType.IPv6, ipv6Octets(address)];
  return Uint8Array.of(socksVersion, rep, 0, type, ...octets, port >> 8, port & 255);
}

function parseDestination(
  bytes: Uint8Array,
  command: number,
  start: number,
  length: number,
  destinationFrom: (octets: Uint8Array, port: number) => Destination,
): Parsed<Request> {
  const portAt = start + length;
  const [high, low] = bytes.subarray(portAt, portAt + 2);
  if (high === undefined || low === undefined) return { kind: "incomplete" };
  const destination = destinationFrom(bytes.subarray(start, portAt), (high << 8) | low);
  return { kind: "value", value: { command, destination }, length: portAt + 2 };
}

function ipv4Destination(octets: Uint8Array, port: number): Destination {
  return { kind: "address", address: octets.join(".") as Address, port };
}

function ipv6Destination(octets: Uint8Array, port: number): Destination {
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0)).toString(16),
  );
  return nameOrAddress(groups.join(":"), port);
}

function nameDestination(octets: Uint8Array, port: number): Destination {
  return nameOrAddress(utf8.decode(octets), port);
}

/** Some clients send an address as text, IPv6 even in a URL's brackets: it is an address all the same. */
function nameOrAddress(text: string, port: number): Destination {
  const address = parseAddress(text.replace(/^\[(.*)\]$/, "$1"));
  return address === undefined ? { kind: "name", name: text, port } : { kind: "address", address, port };
}

function ipv6Octets(address: Address): number[] {
  const [left = [], right = []] = address
    .split("::")
    .map((half) => (half === "" ? [] : half.split(":").map((group) => Number.parseInt(group, 16))));
  const zeros = Array<number>(8 - left.length - right.length).fill(0);
  return [...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 255]);
}

function notSocks5(firstOctet: number): Parsed<never> {
  return fault({ kind: "not-socks5", firstOctet });
}

function fault(found: WireFault): Parsed<never> {
  return { kind: "fault", fault: found };
}
