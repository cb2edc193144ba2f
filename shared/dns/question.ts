import { BerthError } from "../errors.ts";
import { maxLabelLength } from "../name.ts";

/** Header and question of a DNS message, read by hand: the question must go back byte for byte (RFC 1035 §4.1.1, 4.1.2). */
export interface MessageStart {
  id: number;
  isResponse: boolean;
  opcode: number;
  recursionDesired: boolean;
  checkingDisabled: boolean;
  questionCount: number;
  answerCount: number;
  authorityCount: number;
  additionalCount: number;
  /** The first question; absent when the message has none. */
  question?: Question;
}

export interface Question {
  /** Lower case with trailing dot; octets that no host name has are written \DDD, so that no two names are written alike. */
  name: string;
  type: number;
  class: number;
  /** QNAME, QTYPE and QCLASS as they arrived, in the asker's spelling. */
  bytes: Uint8Array;
}

export const headerLength = 12;
const maxWireNameLength = 255;

/** Throws a BerthError `malformed-message` when the bytes end early or the name breaks RFC 1035's limits. */
export function readMessageStart(bytes: Uint8Array): MessageStart {
  if (bytes.length < headerLength) throw malformed(`a DNS message has at least ${headerLength} octets`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint16(2);
  const questionCount = view.getUint16(4);
  return {
    id: view.getUint16(0),
    isResponse: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    recursionDesired: (flags & 0x0100) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
    questionCount,
    answerCount: view.getUint16(6),
    authorityCount: view.getUint16(8),
    additionalCount: view.getUint16(10),
    ...(questionCount > 0 ? { question: readQuestion(bytes, view) } : {}),
  };
}

function readQuestion(bytes: Uint8Array, view: DataView): Question {
  const { name, end } = readQname(bytes);
  if (end + 4 > bytes.length) throw malformed("the question ends early");
  const question = bytes.slice(headerLength, end + 4);
  return { name, type: view.getUint16(end), class: view.getUint16(end + 2), bytes: question };
}

function readQname(bytes: Uint8Array): { name: string; end: number } {
  let name = "";
  for (let at = headerLength; at < bytes.length; ) {
    const length = bytes[at] ?? 0;
    if (length === 0) return { name: name === "" ? "." : name, end: at + 1 };
    // Compression has nothing to point at in a first name, and labels of other kinds are obsolete (RFC 6891 §5).
    if (length > maxLabelLength) throw malformed("the question's name has a bad label");
    const next = at + 1 + length;
    if (next >= bytes.length) break;
    if (next + 1 - headerLength > maxWireNameLength) throw malformed("the question's name is too long");
    for (let i = at + 1; i < next; i++) name += octetText(bytes[i] ?? 0);
    name += ".";
    at = next;
  }
  throw malformed("the question's name ends early");
}

function octetText(octet: number): string {
  if (octet >= 0x41 && octet <= 0x5a) return String.fromCharCode(octet + 32);
  const plain = octet > 0x20 && octet < 0x7f && octet !== 0x2e && octet !== 0x5c;
  return plain ? String.fromCharCode(octet) : `\\${octet.toString().padStart(3, "0")}`;
}

function malformed(fault: string): BerthError {
  return new BerthError("malformed-message", `not a DNS message: ${fault}`);
}
