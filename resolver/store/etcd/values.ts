import { z } from "zod";

import type { Binding } from "../../../shared/binding.ts";
import type { Hold } from "../../records.ts";
import type { TokenRecord } from "../../token-table.ts";
import type { Head, HostTurn, Meta } from "./layout.ts";

/*
 * A value that somebody else put there must not stop the watch, so as much is looked at as the registry relies on. Loose: a later berth may
 * write more fields while this one still runs.
 */

const count = z.number().int().min(0);
const texts = z.array(z.string());
const scope = z.looseObject({
  names: texts,
  hosts: texts,
  maxBindings: z.number().nullable(),
  maxLease: z.number().nullable(),
});

const metaSchema = z.looseObject({ life: z.string(), serialBase: z.int(), revisionBase: z.int() });
const headSchema = z.looseObject({
  host: z.looseObject({
    hostId: z.string(),
    digest: z.string(),
    lease: count,
    declaredLabel: z.string(),
    hostLabel: z.string(),
    addresses: texts,
    parts: z.array(texts),
    problems: z.array(z.looseObject({ container: z.string(), code: z.string(), message: z.string() })),
    bindings: count,
    tokenId: z.string(),
    owner: z.string(),
    scope,
  }),
  chunks: texts,
  leaseId: z.string(),
});
const turnSchema = z.looseObject({ epoch: count, sequence: count, carrier: z.string() });
const entriesSchema = z.array(
  z.looseObject({
    since: count,
    name: z.string(),
    rule: z.string(),
    protocol: z.string(),
    servicePort: count,
    addresses: texts,
    port: count,
    container: z.string(),
    instance: z.string(),
    health: z.string(),
    txt: texts.optional(),
  }),
);
const holdSchema = z.looseObject({
  name: z.string(),
  owner: z.string(),
  hostId: z.string().optional(),
  hostLabel: z.string(),
  tokenId: z.string(),
  since: z.number(),
  until: z.number().optional(),
});
const tokenSchema = z.looseObject({
  id: z.string(),
  kind: z.string(),
  owner: z.string(),
  scope,
  hash: z.string(),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  revokedAt: z.number().nullable(),
});

/** A value as etcd keeps it. Those that parse it throw when it is not as berth writes it. */
export function encode(value: Head | HostTurn | Meta | Hold | TokenRecord): string {
  return JSON.stringify(value);
}

export function parseMeta(text: string): Meta {
  return metaSchema.parse(JSON.parse(text));
}

export function parseHead(text: string): Head {
  return headSchema.parse(JSON.parse(text)) as unknown as Head;
}

export function parseTurn(text: string): HostTurn {
  return turnSchema.parse(JSON.parse(text));
}

export function parseChunk(text: string): (Binding & { since: number })[] {
  return entriesSchema.parse(JSON.parse(text)) as unknown as (Binding & { since: number })[];
}

export function parseHold(text: string): Hold {
  return holdSchema.parse(JSON.parse(text)) as unknown as Hold;
}

export function parseToken(text: string): TokenRecord {
  return tokenSchema.parse(JSON.parse(text)) as unknown as TokenRecord;
}
