import { BerthError } from "./errors.ts";

/** A bare item of RFC 8941 §3.3. Numbers stay text: nothing here calculates with them, and a signature covers their digits. */
export type BareItem =
  | { kind: "string" | "token" | "number"; value: string }
  | { kind: "bytes"; value: string }
  | { kind: "boolean"; value: boolean };
export type Parameters = Map<string, BareItem>;
export interface Item {
  bare: BareItem;
  parameters: Parameters;
}
export interface InnerList {
  items: Item[];
  parameters: Parameters;
}
export type Dictionary = Map<string, Item | InnerList>;

/** Ours are 500 characters long; what is longer than this costs more to read than it is worth. */
const maxFieldLength = 8192;

/**
 * A dictionary (RFC 8941 §3.2) as a header field carries it. Throws a BerthError `bad-field` that names the place. Stricter than the RFC in
 * one thing: a key that comes twice is refused, where the RFC takes the last one, because two readers must not see two signatures.
 */
export function parseDictionary(text: string): Dictionary {
  if (text.length > maxFieldLength) throw new BerthError("bad-field", `is over ${maxFieldLength} characters`);
  const reader = new Reader(text.replace(/^ +| +$/g, ""));
  const dictionary: Dictionary = new Map();
  while (!reader.isAtEnd()) {
    addOnce(dictionary, readMember(reader), reader);
    reader.take(/[ \t]*/y);
    if (reader.isAtEnd()) break;
    reader.expect(/,/y, "a comma");
    reader.take(/[ \t]*/y);
    if (reader.isAtEnd()) throw reader.fault("another member");
  }
  return dictionary;
}

/** The one way to write it (RFC 8941 §4.1.1.1): what a signature covers. */
export function encodeInnerList({ items, parameters }: InnerList): string {
  return `(${items.map(encodeItem).join(" ")})${encodeParameters(parameters)}`;
}

export function encodeItem({ bare, parameters }: Item): string {
  return `${encodeBare(bare)}${encodeParameters(parameters)}`;
}

function encodeParameters(parameters: Parameters): string {
  return [...parameters]
    .map(([key, bare]) => `;${key}${isTrue(bare) ? "" : `=${encodeBare(bare)}`}`)
    .join("");
}

function encodeBare(bare: BareItem): string {
  switch (bare.kind) {
    case "string":
      return `"${bare.value.replace(/["\\]/g, "\\$&")}"`;
    case "bytes":
      return `:${bare.value}:`;
    case "boolean":
      return bare.value ? "?1" : "?0";
    default:
      return bare.value;
  }
}

function isTrue(bare: BareItem): boolean {
  return bare.kind === "boolean" && bare.value;
}

function readMember(reader: Reader): [string, Item | InnerList] {
  const key = readKey(reader);
  if (reader.take(/=/y) !== undefined) return [key, readItemOrList(reader)];
  return [key, { bare: { kind: "boolean", value: true }, parameters: readParameters(reader) }];
}

function readItemOrList(reader: Reader): Item | InnerList {
  if (reader.take(/\(/y) === undefined) return readItem(reader);
  const items: Item[] = [];
  reader.take(/ */y);
  while (reader.take(/\)/y) === undefined) {
    items.push(readItem(reader));
    if (reader.take(/ +|(?=\))/y) === undefined) throw reader.fault("a space or )");
  }
  return { items, parameters: readParameters(reader) };
}

function readItem(reader: Reader): Item {
  return { bare: readBare(reader), parameters: readParameters(reader) };
}

function readParameters(reader: Reader): Parameters {
  const parameters: Parameters = new Map();
  while (reader.take(/; */y) !== undefined) {
    const key = readKey(reader);
    const bare =
      reader.take(/=/y) === undefined ? { kind: "boolean" as const, value: true } : readBare(reader);
    addOnce(parameters, [key, bare], reader);
  }
  return parameters;
}

function readKey(reader: Reader): string {
  return reader.expect(/[a-z*][a-z0-9_.*-]*/y, "a key");
}

function readBare(reader: Reader): BareItem {
  const text = reader.take(/"(?:[ !#-[\]-~]|\\["\\])*"/y);
  if (text !== undefined) return { kind: "string", value: text.slice(1, -1).replace(/\\(.)/g, "$1") };
  const bytes = reader.take(/:[A-Za-z0-9+/]*={0,2}:/y);
  if (bytes !== undefined) return { kind: "bytes", value: bytes.slice(1, -1) };
  const boolean = reader.take(/\?[01]/y);
  if (boolean !== undefined) return { kind: "boolean", value: boolean === "?1" };
  const number = reader.take(/-?(?:\d{1,12}\.\d{1,3}|\d{1,15})(?![\d.])/y);
  if (number !== undefined) return { kind: "number", value: number };
  const token = reader.expect(/[A-Za-z*][\w!#$%&'*+.^`|~:/-]*/y, "a value");
  return { kind: "token", value: token };
}

function addOnce<T>(map: Map<string, T>, [key, value]: [string, T], reader: Reader): void {
  if (map.has(key)) throw reader.fault(`no second "${key}"`);
  map.set(key, value);
}

class Reader {
  private at = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  /** What the sticky `pattern` matches here; undefined, and no step taken, when it does not. */
  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  expect(pattern: RegExp, what: string): string {
    const found = this.take(pattern);
    if (found === undefined) throw this.fault(what);
    return found;
  }

  fault(expected: string): BerthError {
    return new BerthError("bad-field", `is malformed at character ${this.at + 1}: expected ${expected}`);
  }
}
