import { Buffer } from "node:buffer";
import codec from "dns-packet";

import { type Address, parseAddress } from "../address.ts";
import { BerthError } from "../errors.ts";
import { type Name, parseName } from "../name.ts";
import { EdnsOption, Opcode, RRType } from "./constants.ts";
import { headerLength, type MessageStart, readMessageStart } from "./question.ts";

/** RDATA by type, with addresses and names already parsed. TTL and owner name stand beside it in RR. */
export type Rdata =
  | { type: typeof RRType.A | typeof RRType.AAAA; address: Address }
  | { type: typeof RRType.NS | typeof RRType.PTR; target: Name }
  | { type: typeof RRType.SRV; priority: number; weight: number; port: number; target: Name }
  | { type: typeof RRType.TXT; texts: string[] }
  | { type: typeof RRType.SOA; soa: Soa };

/** RFC 1035 §3.3.13; times in seconds. */
export interface Soa {
  mname: Name;
  rname: Name;
  serial: number;
  refresh: number;
  retry: number;
  expire: number;
  minimum: number;
}

/** One resource record of class IN. `ttl` in seconds. */
export interface RR {
  name: Name;
  ttl: number;
  rdata: Rdata;
}

/** A query as the answering side needs it. */
export interface Query extends MessageStart {
  /** RFC 6891; absent when the query has no OPT. */
  edns?: { version: number; dnssecOk: boolean; padded: boolean; payloadSize: number };
  /** Not exactly one question, or more than one OPT (RFC 6891 §6.1.1): FORMERR. */
  isFormErr: boolean;
}

export interface ResponseParts {
  rcode: number;
  authoritative: boolean;
  answer: RR[];
  authority: RR[];
  additional: RR[];
  /** RFC 8914; sent only to a client that sent OPT. */
  extendedError?: { code: number; text: string };
}

/** What the asking side reads of an answer. */
export interface Response {
  rcode: number;
  truncated: boolean;
  answer: RR[];
  authority: RR[];
  additional: RR[];
}

export const maxMessageLength = 65_535;
/** DNS Flag Day 2020's size; over DoH it limits nothing, but a client may read it. */
const udpPayloadSize = 1232;
/** RFC 8467 §4.1. */
const responseBlockLength = 468;
const flag = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  checkingDisabled: 0x10,
};

/** Throws a BerthError `malformed-message`. Trailing octets are a fault too: nothing a resolver sends has them. */
export function decodeQuery(bytes: Uint8Array): Query {
  const start = readMessageStart(bytes);
  // Other opcodes may shape their sections as they like; the answer is NOTIMP whatever they hold.
  if (start.isResponse || start.opcode !== Opcode.Query) return { ...start, isFormErr: false };
  if (!hasCountsOfQuery(start)) {
    throw new BerthError("malformed-message", "not a DNS query: it counts more records than a query has");
  }
  const opts = decodeWhole(bytes).additionals.filter((record) => record.type === "OPT");
  const opt = opts[0];
  const isFormErr = start.questionCount !== 1 || opts.length > 1;
  if (opt === undefined || opt.type !== "OPT") return { ...start, isFormErr };
  const padded = opt.options.some((option) => Number(option.code) === EdnsOption.Padding);
  const edns = { version: opt.ednsVersion, dnssecOk: opt.flag_do, padded, payloadSize: opt.udpPayloadSize };
  return { ...start, edns, isFormErr };
}

/** Checked before anything is decoded: thousands of records would cost far more to read than they cost to send. */
function hasCountsOfQuery({
  questionCount,
  answerCount,
  authorityCount,
  additionalCount,
}: MessageStart): boolean {
  // IXFR brings its SOA (RFC 1995); beside OPT there may be TSIG or SIG(0); the rest is room for what is answered with FORMERR.
  return questionCount <= 4 && answerCount === 0 && authorityCount <= 1 && additionalCount <= 4;
}

/** Drops the additional section, then truncates (TC), when the whole would pass 65,535 octets. */
export function encodeResponse(query: Query, parts: ResponseParts): Uint8Array<ArrayBuffer> {
  const whole = encodeSections(query, parts, false);
  if (whole.length <= maxMessageLength) return whole;
  const bare = encodeSections(query, { ...parts, additional: [] }, false);
  if (bare.length <= maxMessageLength) return bare;
  return encodeSections(query, { ...parts, answer: [], authority: [], additional: [] }, true);
}

/** A query with RD clear and id 0, which lets HTTP caches share the answer (RFC 8484 §4.1). */
export function encodeQuery(name: Name, type: number): Uint8Array {
  const question = { name: codecName(name), type: "A" as const, class: "IN" as const };
  const bytes = codec.encode({ type: "query", id: 0, flags: 0, questions: [question] });
  // The codec knows types by name only; QTYPE is the last but one field of a message that holds nothing but a question.
  bytes.writeUInt16BE(type, bytes.length - 4);
  return bytes;
}

/** Throws a BerthError `malformed-message`. Records of types berth does not know are left out. */
export function decodeResponse(bytes: Uint8Array): Response {
  const start = readMessageStart(bytes);
  if (!start.isResponse) throw new BerthError("malformed-message", "not a DNS response: QR is clear");
  const decoded = decodeWhole(bytes);
  const opt = decoded.additionals.find((record) => record.type === "OPT");
  const extended = opt?.type === "OPT" ? opt.extendedRcode << 4 : 0;
  return {
    rcode: extended | ((bytes[3] ?? 0) & 15),
    truncated: ((bytes[2] ?? 0) & 2) !== 0,
    answer: recordsFrom(decoded.answers),
    authority: recordsFrom(decoded.authorities),
    additional: recordsFrom(decoded.additionals),
  };
}

function decodeWhole(bytes: Uint8Array) {
  try {
    const decoded = codec.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    if (codec.decode.bytes !== bytes.length) throw new Error("octets follow the last record");
    const { answers = [], authorities = [], additionals = [] } = decoded;
    return { answers, authorities, additionals };
  } catch (cause) {
    throw new BerthError("malformed-message", "not a DNS message", { cause });
  }
}

function encodeSections(query: Query, parts: ResponseParts, truncated: boolean): Uint8Array<ArrayBuffer> {
  const records = encodeRecords(query, parts, 0);
  const question = query.question?.bytes ?? new Uint8Array();
  const length = headerLength + question.length + records.bytes.length;
  // RFC 7830 §4: a padded query gets a padded response. `records` holds the empty option already.
  const padding = (responseBlockLength - (length % responseBlockLength)) % responseBlockLength;
  const final = query.edns?.padded ? encodeRecords(query, parts, padding) : records;

  const message = new Uint8Array(headerLength + question.length + final.bytes.length);
  const view = new DataView(message.buffer);
  view.setUint16(0, query.id);
  view.setUint16(2, responseFlags(query, parts, truncated));
  view.setUint16(4, query.question === undefined ? 0 : 1);
  view.setUint16(6, final.counts.answer);
  view.setUint16(8, final.counts.authority);
  view.setUint16(10, final.counts.additional);
  message.set(question, headerLength);
  message.set(final.bytes, headerLength + question.length);
  return message;
}

function responseFlags(query: Query, parts: ResponseParts, truncated: boolean): number {
  let flags = flag.response | (query.opcode << 11) | (parts.rcode & 15);
  if (parts.authoritative) flags |= flag.authoritative;
  if (truncated) flags |= flag.truncated;
  if (query.recursionDesired) flags |= flag.recursionDesired;
  if (query.checkingDisabled) flags |= flag.checkingDisabled;
  return flags;
}

/** The records without header and question; the codec compresses nothing, so they can stand at any offset. */
function encodeRecords(query: Query, parts: ResponseParts, padding: number) {
  const additionals: codec.Answer[] = parts.additional.map(codecRecord);
  if (query.edns !== undefined) additionals.push(optRecord(query.edns, parts, padding));
  const sections = {
    answers: parts.answer.map(codecRecord),
    authorities: parts.authority.map(codecRecord),
    additionals,
  };
  const bytes = codec.encode({ type: "response", questions: [], ...sections });
  const counts = {
    answer: sections.answers.length,
    authority: sections.authorities.length,
    additional: additionals.length,
  };
  return { bytes: bytes.subarray(headerLength), counts };
}

function optRecord(edns: NonNullable<Query["edns"]>, parts: ResponseParts, padding: number): codec.Answer {
  const options: { code: number; data: Buffer }[] = [];
  if (parts.extendedError !== undefined) {
    const text = Buffer.from(parts.extendedError.text);
    const code = Buffer.from([parts.extendedError.code >> 8, parts.extendedError.code & 255]);
    options.push({ code: EdnsOption.ExtendedError, data: Buffer.concat([code, text]) });
  }
  if (edns.padded) options.push({ code: EdnsOption.Padding, data: Buffer.alloc(padding) });
  const opt = {
    type: "OPT",
    name: ".",
    udpPayloadSize,
    extendedRcode: parts.rcode >> 4,
    ednsVersion: 0,
    // RFC 3225 §3: the DO bit goes back as it came.
    flags: edns.dnssecOk ? 0x8000 : 0,
    options,
  };
  // The codec's types know options by name only, its encoder takes numbers as well.
  return opt as unknown as codec.Answer;
}

function codecRecord(record: RR): codec.Answer {
  const { rdata } = record;
  const common = { name: codecName(record.name), ttl: record.ttl, class: "IN" as const };
  switch (rdata.type) {
    case RRType.A:
      return { ...common, type: "A", data: rdata.address };
    case RRType.AAAA:
      return { ...common, type: "AAAA", data: rdata.address };
    case RRType.NS:
      return { ...common, type: "NS", data: codecName(rdata.target) };
    case RRType.PTR:
      return { ...common, type: "PTR", data: codecName(rdata.target) };
    case RRType.SRV: {
      const { priority, weight, port, target } = rdata;
      return { ...common, type: "SRV", data: { priority, weight, port, target: codecName(target) } };
    }
    case RRType.TXT:
      // A copy, because the codec puts its buffers in the place of the strings it is given.
      return { ...common, type: "TXT", data: [...rdata.texts] };
    case RRType.SOA: {
      const { mname, rname, ...numbers } = rdata.soa;
      return {
        ...common,
        type: "SOA",
        data: { mname: codecName(mname), rname: codecName(rname), ...numbers },
      };
    }
  }
}

function recordsFrom(records: codec.Answer[]): RR[] {
  return records.flatMap((record) => {
    if (record.type === "OPT" || ("class" in record && record.class !== "IN")) return [];
    try {
      const rdata = rdataFrom(record);
      return rdata === undefined
        ? []
        : [{ name: parseName(record.name), ttl: Number(record.ttl ?? 0), rdata }];
    } catch {
      // A record under a name that is none of ours (odd octets) is one we have no use for; the rest of the answer stands.
      return [];
    }
  });
}

function rdataFrom(record: codec.Answer): Rdata | undefined {
  switch (record.type) {
    case "A":
    case "AAAA": {
      const address = parseAddress(record.data);
      return address === undefined ? undefined : { type: RRType[record.type], address };
    }
    case "NS":
    case "PTR":
      return { type: RRType[record.type], target: parseName(record.data) };
    case "SRV": {
      const { priority = 0, weight = 0, port, target } = record.data;
      return { type: RRType.SRV, priority, weight, port, target: parseName(target) };
    }
    case "TXT":
      return { type: RRType.TXT, texts: [record.data].flat().map(String) };
    case "SOA": {
      const { serial = 0, refresh = 0, retry = 0, expire = 0, minimum = 0 } = record.data;
      const names = { mname: parseName(record.data.mname), rname: parseName(record.data.rname) };
      return { type: RRType.SOA, soa: { ...names, serial, refresh, retry, expire, minimum } };
    }
    default:
      return undefined;
  }
}

function codecName(name: Name): string {
  return name === "." ? "." : name.slice(0, -1);
}
