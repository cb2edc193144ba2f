import codec from "dns-packet";

import { isLoopback } from "../../shared/address.ts";
import { type Declared, errorReplySchema } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import { dnsMessageType, dohPath } from "../../shared/dns/doh.ts";
import { createLog } from "../../shared/log.ts";
import { hostIdOfPublicKey } from "../../shared/signature.ts";
import { signedHeaders } from "../../shared/signed-headers.ts";
import { signerOf } from "../../shared/testing/test-signer.ts";
import { type AppParts, createApp, type ResolverApp } from "../app.ts";
import type { NewAuditEntry } from "../audit.ts";
import { standardSettings } from "../settings.ts";
import { binding, ip, zone } from "../store/contract/builders.ts";
import { createMemoryStore } from "../store/memory.ts";
import { createMemoryTokenTable } from "../token-table.ts";
import { createTokenCheck } from "../tokens.ts";

export const agentToken = "agent-token-1";
export const readerToken = "reader-token-1";
export const adminToken = "admin-token-1";
const testTokens = { agent: agentToken, reader: readerToken, admin: adminToken };

/** The whole app over a memory store, with what it logged, and an agent that speaks for one host. */
export function createTestApp(changed: Partial<AppParts> = {}) {
  const clock = { now: 1_800_000_000_000 };
  const logged: string[] = [];
  const now = () => clock.now;
  const settings = standardSettings(zone);
  const store = createMemoryStore(settings, now);
  const refused: NewAuditEntry[] = [];
  const audit = { record: async () => undefined, list: async () => [] };
  const tokenTable = createMemoryTokenTable(audit);
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
    tokens: createTokenCheck({ bootstrap: testTokens, table: tokenTable, now }),
    tokenTable,
    audit,
    refusals: { note: (entry) => refused.push(entry) },
    now,
    acceptsLocal: () => false,
    log: createLog("resolver", "debug", (line) => logged.push(line)),
    ...changed,
  });
  return { app, store, logged, refused, clock, agent: new TestAgent(app) };
}

export interface Asked {
  response: Response;
  bytes: Uint8Array;
  answer: codec.DecodedPacket;
}

/** One DoH POST of `query`, decoded by the oracle. */
export async function askWith(app: ResolverApp, query: Uint8Array): Promise<Asked> {
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

export async function ask(app: ResolverApp, name: string, type: number): Promise<Asked> {
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

/** The host of letter a, for which `createTestApp`'s agent speaks. */
export const hostId = await hostIdFor("a");

export async function hostIdFor(letter: string): Promise<string> {
  return (await hostIdOfPublicKey(signerOf(letter).publicKey)) ?? "";
}

/** The body of a push that is right in every way, with `changed` on top of the declared set. */
export async function pushBody(changed: Partial<Declared> = {}, fields: object = {}) {
  const addresses = changed.addresses ?? [ip("10.0.0.5")];
  const declared: Declared = {
    hostLabel: "nas",
    addresses,
    local: addresses.every(isLoopback),
    bindings: [binding("web.shop", { port: 32768, fixed: false, at: [addresses[0] ?? ""] })],
    problems: [],
    ...changed,
  };
  return { lease: 15, digest: await digestOf(declared), declared, ...fields };
}

/** What a test may have otherwise in one signed request. */
export interface Signing {
  epoch?: number;
  sequence?: number;
  generation?: string;
  headers?: Record<string, string>;
}

/** A host's process with its key, its token and its turns; every reply comes back as it was sent. */
export class TestAgent {
  epoch = 1;
  sequence = 0;
  generation = "";
  private readonly app: Pick<ResolverApp, "request">;
  private readonly letter: string;
  private readonly token: string;

  constructor(app: Pick<ResolverApp, "request">, letter = "a", token = agentToken) {
    this.app = app;
    this.letter = letter;
    this.token = token;
  }

  /** Sends a request of the next turn; as an agent does, once more when it was signed for another life of the registry. */
  async send(method: string, path: string, body?: unknown, signing: Signing = {}): Promise<Response> {
    const turn = { sequence: ++this.sequence, ...signing };
    const response = await this.app.request(await this.sign(method, path, body, turn));
    if (response.status !== 401 || signing.generation !== undefined) return response;
    const { error } = errorReplySchema.parse(await response.clone().json());
    if (error.generation === undefined) return response;
    this.generation = error.generation;
    return this.app.request(await this.sign(method, path, body, turn));
  }

  /** A request with a good signature. `body` goes as JSON unless it is text already. */
  async sign(method: string, path: string, body?: unknown, signing: Signing = {}): Promise<Request> {
    const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
    const octets = text === undefined ? undefined : new TextEncoder().encode(text);
    const access = {
      fetch,
      url: "http://localhost",
      token: this.token,
      timeoutMs: 1000,
      signer: signerOf(this.letter),
      generation: { current: signing.generation ?? this.generation },
    };
    const own = { "content-type": "application/json", ...signing.headers };
    const turn = { epoch: signing.epoch ?? this.epoch, sequence: signing.sequence ?? this.sequence };
    const request = { method, path, headers: own, ...(octets === undefined ? {} : { body: octets }) };
    const headers = await signedHeaders(access, request, turn);
    return new Request(`${access.url}${path}`, { ...request, headers });
  }
}

/** A request that nobody signed. */
export async function send(
  app: ResolverApp,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body);
  const all = { authorization: `Bearer ${agentToken}`, "content-type": "application/json", ...headers };
  return app.request(path, { method, headers: all, ...(text === undefined ? {} : { body: text }) });
}

export async function faultOf(response: Response) {
  const { error } = errorReplySchema.parse(await response.json());
  return { status: response.status, ...error };
}
