/** Which keys: one, all that begin with a prefix (the empty prefix is every key), or those from `from` up to, not with, `to`. */
export type KeyRange = { key: string } | { prefix: string } | { from: string; to: string };

/** A key as etcd holds it. `lease` is absent when the key is on none; it is text because a lease's number needs 64 bits. */
export interface Item {
  key: string;
  value: string;
  createRevision: number;
  modRevision: number;
  version: number;
  lease?: string;
}

export type WatchEvent =
  | { kind: "put"; item: Item }
  /** Also what a lapsed lease does to its keys. */
  | { kind: "delete"; key: string; modRevision: number };

/** A condition of a transaction. A key that is not there has create revision, mod revision and version 0. */
export type Compare = { key: string; is: "equal" | "greater" | "less" | "not-equal" } & (
  | { createRevision: number }
  | { modRevision: number }
  | { version: number }
  | { value: string }
);

export type Operation =
  | { kind: "put"; key: string; value: string; lease?: string }
  | { kind: "delete"; keys: KeyRange }
  | { kind: "get"; keys: KeyRange; limit?: number };

/** One for each operation, in its order. */
export type OperationReply =
  | { kind: "put" }
  | { kind: "delete"; deleted: number }
  | { kind: "get"; items: Item[] };

/** The shapes below are etcd's rpc.proto in JSON: 64-bit numbers are text, octets are base64, what is zero or empty is left out (3.4, 3.5) or not (3.6). */
export interface WireHeader {
  revision?: string;
}

export interface WireItem {
  key?: string;
  value?: string;
  create_revision?: string;
  mod_revision?: string;
  version?: string;
  lease?: string;
}

export interface WireRange {
  header?: WireHeader;
  kvs?: WireItem[];
  more?: boolean;
}

export interface WireTxn {
  header?: WireHeader;
  succeeded?: boolean;
  responses?: {
    response_put?: object;
    response_delete_range?: { deleted?: string };
    response_range?: WireRange;
  }[];
}

export interface WireLease {
  ID?: string;
  TTL?: string;
}

export interface WireWatch {
  header?: WireHeader;
  created?: boolean;
  canceled?: boolean;
  compact_revision?: string;
  cancel_reason?: string;
  fragment?: boolean;
  events?: { type?: string; kv?: WireItem }[];
}

const results = { equal: "EQUAL", greater: "GREATER", less: "LESS", "not-equal": "NOT_EQUAL" } as const;

export function encodeRange(keys: KeyRange): { key: string; range_end?: string } {
  if ("key" in keys) return { key: base64(keys.key) };
  if ("from" in keys) return { key: base64(keys.from), range_end: base64(keys.to) };
  // etcd's way to say "every key": from the octet 0 to the octet 0.
  if (keys.prefix === "") return { key: base64("\0"), range_end: base64("\0") };
  return { key: base64(keys.prefix), range_end: endOfPrefix(keys.prefix) };
}

export function encodeCompare(compare: Compare): object {
  const common = { key: base64(compare.key), result: results[compare.is] };
  if ("createRevision" in compare)
    return { ...common, target: "CREATE", create_revision: `${compare.createRevision}` };
  if ("modRevision" in compare) return { ...common, target: "MOD", mod_revision: `${compare.modRevision}` };
  if ("version" in compare) return { ...common, target: "VERSION", version: `${compare.version}` };
  return { ...common, target: "VALUE", value: base64(compare.value) };
}

export function encodeOperation(operation: Operation): object {
  if (operation.kind === "delete") return { request_delete_range: encodeRange(operation.keys) };
  if (operation.kind === "get") {
    return { request_range: { ...encodeRange(operation.keys), limit: `${operation.limit ?? 0}` } };
  }
  const put = { key: base64(operation.key), value: base64(operation.value) };
  return { request_put: operation.lease === undefined ? put : { ...put, lease: operation.lease } };
}

export function repliesFromTxn(txn: WireTxn): OperationReply[] {
  return (txn.responses ?? []).map((reply) => {
    if (reply.response_range !== undefined) {
      return { kind: "get", items: (reply.response_range.kvs ?? []).map(itemFromWire) };
    }
    const deleted = reply.response_delete_range;
    return deleted === undefined ? { kind: "put" } : { kind: "delete", deleted: integer(deleted.deleted) };
  });
}

export function itemFromWire(wire: WireItem): Item {
  const item = {
    key: textFromBase64(wire.key),
    value: textFromBase64(wire.value),
    createRevision: integer(wire.create_revision),
    modRevision: integer(wire.mod_revision),
    version: integer(wire.version),
  };
  return wire.lease === undefined || wire.lease === "0" ? item : { ...item, lease: wire.lease };
}

export function eventsFromWatch(watch: WireWatch): WatchEvent[] {
  return (watch.events ?? []).map(({ type, kv = {} }) => {
    const item = itemFromWire(kv);
    if (type === "DELETE") return { kind: "delete", key: item.key, modRevision: item.modRevision };
    return { kind: "put", item };
  });
}

export function revisionOf(event: WatchEvent): number {
  return event.kind === "put" ? event.item.modRevision : event.modRevision;
}

/** A 64-bit number of the wire, absent when it is 0. Throws where JavaScript could not count on: no revision or duration gets there. */
export function integer(text: string | undefined): number {
  const value = Number(text ?? "0");
  if (!Number.isSafeInteger(value)) throw new Error(`etcd sent ${text} where a whole number belongs`);
  return value;
}

function base64(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

function textFromBase64(text = ""): string {
  return Buffer.from(text, "base64").toString("utf8");
}

/** The first key after all that begin with `prefix`. UTF-8 has no octet 0xff, so the last one can always be raised; the result need not be text. */
function endOfPrefix(prefix: string): string {
  const octets = Buffer.from(prefix, "utf8");
  octets[octets.length - 1] = (octets.at(-1) ?? 0) + 1;
  return octets.toString("base64");
}
