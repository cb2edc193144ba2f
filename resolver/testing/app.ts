import codec from "dns-packet";
import type { Hono } from "hono";

import { isLoopback } from "../../shared/address.ts";
import type { Declared } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import { dnsMessageType, dohPath } from "../../shared/dns/doh.ts";
import { createLog } from "../../shared/log.ts";
import { type AppParts, createApp } from "../app.ts";
import { standardSettings } from "../registry.ts";
import { binding, ip, zone } from "../store/contract/builders.ts";
import { createMemoryStore } from "../store/memory.ts";
import { createTokenCheck } from "../tokens.ts";

export const agentToken = "agent-token-1";
export const readerToken = "reader-token-1";

/** The whole app over a memory store, with what it logged. */
export function createTestApp(changed: Partial<AppParts> = {}) {
  const clock = { now: 1_800_000_000_000 };
  const logged: string[] = [];
  const store = createMemoryStore(standardSettings(zone), () => clock.now);
  const settings = standardSettings(zone);
  const app = createApp({
    store,
    zone: store,
    apex: {
      zone,
      nameServers: settings.nameServers,
      nameServerAddresses: [ip("192.0.2.53"), ip("2001:db8::53")],
      ttl: 5,
      negativeTtl: 1,
    },
    tokens: createTokenCheck({ agent: agentToken, reader: readerToken }),
    acceptsLocal: () => false,
    log: createLog("resolver", "debug", (line) => logged.push(line)),
    ...changed,
  });
  return { app, store, logged, clock };
}

export interface Asked {
  response: Response;
  bytes: Uint8Array;
  answer: codec.DecodedPacket;
}

/** One DoH POST of `query`, decoded by the oracle. */
export async function askWith(app: Hono, query: Uint8Array): Promise<Asked> {
  const headers = { "content-type": dnsMessageType };
  const response = await app.request(dohPath, { method: "POST", headers, body: new Uint8Array(query) });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return { response, bytes, answer: codec.decode(Buffer.from(bytes)) };
}

/** A query as a careful client sends it; `type` by number where the oracle knows no name for it. */
export function queryFor(name: string, type: number, additionals: codec.Answer[] = []): Buffer {
  const question = { name: name === "" ? "berth.internal" : `${name}.berth.internal`, type: "A" as const };
  const head = codec.encode({
    type: "query",
    id: 0x1234,
    flags: codec.RECURSION_DESIRED,
    questions: [question],
  });
  head.writeUInt16BE(type, head.length - 4);
  head.writeUInt16BE(additionals.length, 10);
  const rest = codec.encode({ type: "query", additionals }).subarray(12);
  return Buffer.concat([head, rest]);
}

export async function ask(app: Hono, name: string, type: number): Promise<Asked> {
  return askWith(app, queryFor(name, type));
}

/** An OPT as the oracle encodes it. */
export function optRecord(
  fields: { version?: number; flags?: number; options?: object[] } = {},
): codec.Answer {
  const { version = 0, flags = 0, options = [] } = fields;
  const opt = {
    type: "OPT",
    name: ".",
    udpPayloadSize: 4096,
    extendedRcode: 0,
    ednsVersion: version,
    flags,
    options,
  };
  return opt as unknown as codec.Answer;
}

export const hostId = "a".repeat(52);

/** The body of a push that is right in every way, with `changed` on top of the declared set. */
export async function pushBody(changed: Partial<Declared> = {}, turn: object = {}) {
  const addresses = changed.addresses ?? [ip("10.0.0.5")];
  const declared: Declared = {
    hostLabel: "nas",
    addresses,
    local: addresses.every(isLoopback),
    bindings: [binding("web.shop", { port: 32768, fixed: false, at: [addresses[0] ?? ""] })],
    problems: [],
    ...changed,
  };
  return { epoch: 1, sequence: 1, lease: 15, digest: await digestOf(declared), declared, ...turn };
}

/** A request to the push API; `body` goes as JSON unless it is text already. */
export function send(
  app: Hono,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const all = { authorization: `Bearer ${agentToken}`, "content-type": "application/json", ...headers };
  return Promise.resolve(
    app.request(path, { method, headers: all, ...(text === undefined ? {} : { body: text }) }),
  );
}

export async function faultOf(response: Response) {
  const body = (await response.json()) as {
    error: { code: string; message: string; faults?: { path: string }[] };
  };
  return { status: response.status, ...body.error };
}
