import { type Address, familyOf } from "../../shared/address.ts";
import { ExtendedError, Opcode, Rcode, RRClass, RRType } from "../../shared/dns/constants.ts";
import { addressRdata } from "../../shared/dns/endpoints.ts";
import { encodeResponse, type Query, type ResponseParts, type RR } from "../../shared/dns/message.ts";
import type { MessageStart } from "../../shared/dns/question.ts";
import { displayName, labelsOf, type Name, nameBelow, parseName } from "../../shared/name.ts";
import { hostsApex, isHostAddressName } from "../../shared/reserved.ts";
import { addressOfReverseName } from "./range.ts";

/** Seconds. An address stays; this is how long a program may go on with one whose port list has changed. */
const addressTtl = 5;
const negativeTtl = 1;
/** RFC 1035 §4.2.1: what a client takes that says nothing of its own size. */
const smallestUdpAnswer = 512;
const [truncatedOctet, truncatedBit] = [2, 0x02];
const [recursionOctet, recursionBit] = [3, 0x80];

/** What a query is answered from. */
export type Plan =
  /** Not a query: an answer to it could go in a circle. */
  | { kind: "drop" }
  | { kind: "refuse"; rcode: number }
  /** Not about anything of ours. */
  | { kind: "forward" }
  /** An address of our ranges, asked for its name. */
  | { kind: "reverse"; address: Address }
  /** A name a service may have. */
  | { kind: "service"; name: Name; zone: Name; type: number }
  /** Any other name of a zone: what the resolver says. */
  | { kind: "zone-data"; name: Name; zone: Name; type: number }
  /** Below a zone, but no name anything could have. */
  | { kind: "absent"; zone: Name };

/** Of the start of a message: where its answer comes from, before the rest is read. */
export function planFor(
  start: MessageStart,
  zoneOf: (name: string) => Name | undefined,
  isOurs: (address: Address) => boolean,
): Plan {
  if (start.isResponse) return { kind: "drop" };
  if (start.opcode !== Opcode.Query) return { kind: "refuse", rcode: Rcode.NotImp };
  const { question } = start;
  if (start.questionCount !== 1 || question === undefined || question.type === RRType.OPT) {
    return { kind: "refuse", rcode: Rcode.FormErr };
  }
  // Whole zones are not this one's to give, and take more than one message; other classes say things of a server, such as its version.
  const isTransfer = question.type === RRType.AXFR || question.type === RRType.IXFR;
  const isInternet = question.class === RRClass.IN || question.class === RRClass.ANY;
  if (isTransfer || !isInternet) return { kind: "refuse", rcode: Rcode.Refused };
  const address = addressOfReverseName(question.name);
  if (address !== undefined && isOurs(address)) return { kind: "reverse", address };
  const zone = zoneOf(question.name);
  return zone === undefined ? { kind: "forward" } : zonePlan(question.name, zone, question.type);
}

function zonePlan(text: string, zone: Name, type: number): Plan {
  const name = nameFrom(text);
  if (name === undefined) return { kind: "absent", zone };
  const isService =
    name !== zone &&
    name !== hostsApex(zone) &&
    !isHostAddressName(name, zone) &&
    !labelsOf(name).some((label) => label.startsWith("_"));
  return { kind: isService ? "service" : "zone-data", name, zone, type };
}

/** Whether a question of this type at a service name is about its addresses: those answers are ours, all others the resolver's. */
export function isAboutAddresses(type: number): boolean {
  // RFC 8482 §4.1: one RRset is answer enough to ANY.
  return type === RRType.A || type === RRType.AAAA || type === RRType.ANY;
}

/** A service name with ports, asked for an address. Without one of the family asked for: NODATA. */
export function addressAnswer(
  name: Name,
  type: number,
  addresses: readonly (Address | undefined)[],
  soa: RR[],
): ResponseParts {
  const family = type === RRType.AAAA ? 6 : 4;
  const found = addresses.find((address) => address !== undefined && familyOf(address) === family);
  if (found === undefined) return negativeAnswer(Rcode.NoError, soa);
  return positiveAnswer([{ name, ttl: addressTtl, rdata: addressRdata(found) }], []);
}

/** The names an address of ours belongs to; NXDOMAIN for one nobody has. */
export function reverseAnswer(query: Query, names: readonly Name[]): ResponseParts {
  const owner = nameFrom(query.question?.name ?? ".") ?? parseName(".");
  const soa = [localSoa(owner)];
  if (names.length === 0) return negativeAnswer(Rcode.NXDomain, soa);
  const isAsked = query.question?.type === RRType.PTR || query.question?.type === RRType.ANY;
  if (!isAsked) return negativeAnswer(Rcode.NoError, soa);
  const records = names.map((target): RR => {
    return { name: owner, ttl: addressTtl, rdata: { type: RRType.PTR, target } };
  });
  return positiveAnswer(records, []);
}

export function positiveAnswer(answer: RR[], additional: RR[]): ResponseParts {
  return { rcode: Rcode.NoError, authoritative: false, answer, authority: [], additional };
}

/** NXDOMAIN, or NODATA as NOERROR; `soa` is the zone's, or nothing when it is not known (RFC 2308 §2.2). */
export function negativeAnswer(rcode: number, soa: readonly RR[]): ResponseParts {
  const authority = soa.map((record) => ({ ...record, ttl: Math.min(record.ttl, negativeTtl) }));
  return { rcode, authoritative: false, answer: [], authority, additional: [] };
}

/** `why` is for a person who looks with dig: no address, no token. */
export function failedAnswer(why: string): ResponseParts {
  const extendedError = { code: ExtendedError.NoReachableAuthority, text: why };
  const none = { answer: [], authority: [], additional: [] };
  return { rcode: Rcode.ServFail, authoritative: false, ...none, extendedError };
}

/** To a query of which only the start could be read, or need be. */
export function encodeRefusal(start: MessageStart, rcode: number): Uint8Array<ArrayBuffer> {
  const parts = { rcode, authoritative: false, answer: [], authority: [], additional: [] };
  return withRecursion(encodeResponse({ ...start, isFormErr: rcode === Rcode.FormErr }, parts));
}

/** FORMERR to a message whose question cannot be read; undefined when not even its header can, or it is no query. */
export function encodeFormErr(message: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const [high, low, flags] = message;
  if (message.length < 12 || high === undefined || low === undefined || flags === undefined) return undefined;
  if ((flags & 0x80) !== 0) return undefined;
  const header = new Uint8Array(12);
  // QR, and OPCODE and RD as they came.
  header.set([high, low, 0x80 | (flags & 0x79), recursionBit | Rcode.FormErr]);
  return header;
}

/**
 * The answer in at most `limit` octets: what is left out of its additional section is no loss (RFC 2181 §9), anything else makes it
 * empty but for TC.
 */
export function encodeFitting(query: Query, parts: ResponseParts, limit: number): Uint8Array<ArrayBuffer> {
  const whole = withRecursion(encodeResponse(query, parts));
  if (whole.length <= limit) return whole;
  const bare = withRecursion(encodeResponse(query, { ...parts, additional: [] }));
  if (bare.length <= limit) return bare;
  const { extendedError: _dropped, ...rest } = parts;
  const empty = encodeResponse(query, { ...rest, answer: [], authority: [], additional: [] });
  return withTruncation(withRecursion(empty));
}

/** What may be sent of an answer that came from elsewhere: all of it, or its question alone with TC. */
export function fitForwarded(answer: Uint8Array, start: MessageStart, limit: number): Uint8Array {
  if (answer.length <= limit) return answer;
  return withTruncation(encodeRefusal(start, Rcode.NoError));
}

/** Octets a client takes by UDP (RFC 6891 §6.2.5). */
export function udpLimitOf(query: Query | undefined): number {
  return Math.max(query?.edns?.payloadSize ?? 0, smallestUdpAnswer);
}

/** RA: everything it is asked for is looked up. Without it, some programs would ask somebody else. */
function withRecursion(message: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  message[recursionOctet] = (message[recursionOctet] ?? 0) | recursionBit;
  return message;
}

function withTruncation(message: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  message[truncatedOctet] = (message[truncatedOctet] ?? 0) | truncatedBit;
  return message;
}

/** As RFC 6303 §3 has it for zones every machine answers by itself. */
function localSoa(owner: Name): RR {
  const zone = parseName(owner.endsWith(".in-addr.arpa.") ? "127.in-addr.arpa" : "d.f.ip6.arpa");
  const times = { serial: 1, refresh: 3600, retry: 1200, expire: 604_800, minimum: negativeTtl };
  const soa = { mname: zone, rname: nameBelow("nobody", parseName("invalid")), ...times };
  return { name: zone, ttl: negativeTtl, rdata: { type: RRType.SOA, soa } };
}

function nameFrom(text: string): Name | undefined {
  try {
    return parseName(text);
  } catch {
    return undefined;
  }
}

/** How a zone is called in an answer's text. */
export function noResolverText(zone: Name): string {
  return `the resolver of ${displayName(zone)} gives no answer`;
}
