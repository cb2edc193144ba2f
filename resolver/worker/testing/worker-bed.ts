import { env, exports } from "cloudflare:workers";

import { type Binding, type PushReply, pushReplySchema } from "../../../shared/binding.ts";
import { digestOf } from "../../../shared/digest.ts";
import { RRType } from "../../../shared/dns/constants.ts";
import { decodeResponse, encodeQuery } from "../../../shared/dns/message.ts";
import { parseName } from "../../../shared/name.ts";
import {
  pushBindings,
  type ResolverAccess,
  renewLease,
  signedHeaders,
} from "../../../shared/resolver-client.ts";
import { hostIdOfPublicKey } from "../../../shared/signature.ts";
import { below, ip } from "../../store/contract/builders.ts";

/** The Worker, as anybody reaches it. */
export type Fetch = (request: Request) => Promise<Response>;

export const worker: Fetch = (request) => exports.default.fetch(request);
export const remoteUrl = "https://berth.example";
export const localUrl = "http://127.0.0.1:8787";

/** The one registry object of the zone. */
export function registryStub() {
  return env.REGISTRY.get(env.REGISTRY.idFromName("berth.internal."));
}

export function accessTo(token: string, { url = remoteUrl, through = worker } = {}): ResolverAccess {
  const fetch = ((input: string | URL, init?: RequestInit) =>
    through(new Request(input, init))) as typeof globalThis.fetch;
  return { fetch, url, token, timeoutMs: 10_000 };
}

/** A request below /v1 that nobody signed. */
export function ask(
  token: string,
  path: string,
  init: RequestInit = {},
  through = worker,
): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...init.headers };
  return through(new Request(`${remoteUrl}${path}`, { ...init, headers }));
}

/** One DoH exchange; `prefix` is what stands before /dns-query. */
export async function askDns(
  owner: string,
  type: keyof typeof RRType,
  { token = "reader-token", url = remoteUrl, headers = {}, prefix = "", through = worker } = {},
) {
  const authorization = token === "" ? undefined : `Bearer ${token}`;
  const response = await through(
    new Request(`${url}${prefix}/dns-query`, {
      method: "POST",
      headers: {
        "content-type": "application/dns-message",
        ...(authorization === undefined ? {} : { authorization }),
        ...headers,
      },
      body: withOpt(encodeQuery(parseName(below(owner)), RRType[type])),
    }),
  );
  if (response.status !== 200)
    return { status: response.status, rcode: undefined, ports: [], isStale: false };
  const bytes = new Uint8Array(await response.arrayBuffer());
  const message = decodeResponse(bytes);
  const ports = message.answer.flatMap(({ rdata }) => (rdata.type === RRType.SRV ? [rdata.port] : []));
  return { status: 200, rcode: message.rcode, ports, message, isStale: hasStaleAnswer(bytes) };
}

/** The query with an OPT of no options (RFC 6891), the only additional record. */
function withOpt(query: Uint8Array): Uint8Array<ArrayBuffer> {
  const octets = new Uint8Array([...query, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
  octets[11] = 1;
  return octets;
}

/** Extended DNS Error 3 (RFC 8914): option code 15, length from 2 on, info code 3. */
function hasStaleAnswer(bytes: Uint8Array): boolean {
  return bytes.some(
    (octet, at) =>
      octet === 0 &&
      bytes[at + 1] === 15 &&
      (bytes[at + 3] ?? 0) >= 2 &&
      bytes[at + 4] === 0 &&
      bytes[at + 5] === 3,
  );
}

/** A container host with its key, its token and its turns, as its agent speaks for it. */
export class WorkerHost {
  readonly hostId: string;
  readonly access: ResolverAccess & { generation: { current: string } };
  epoch = 1;
  sequence = 0;
  lease = 15;
  digest = "0".repeat(64);

  private constructor(hostId: string, access: ResolverAccess) {
    this.hostId = hostId;
    this.access = { ...access, generation: { current: "" } };
  }

  static async create(
    token = "agent-token",
    place: Parameters<typeof accessTo>[1] = {},
  ): Promise<WorkerHost> {
    const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
    const { x: publicKey = "" } = (await crypto.subtle.exportKey("jwk", pair.publicKey)) as JsonWebKey;
    const sign = async (octets: Uint8Array) =>
      new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, new Uint8Array(octets)));
    const hostId = (await hostIdOfPublicKey(publicKey)) ?? "";
    return new WorkerHost(hostId, { ...accessTo(token, place), signer: { publicKey, sign } });
  }

  /** The same host, from another process. */
  inEpoch(epoch: number): WorkerHost {
    const other = new WorkerHost(this.hostId, this.access);
    other.epoch = epoch;
    other.lease = this.lease;
    return other;
  }

  async push(bindings: Binding[], hostLabel = "nas", address = "10.0.0.5"): Promise<PushReply> {
    const local = address.startsWith("127.");
    const declared = { hostLabel, addresses: [ip(address)], local, bindings, problems: [] };
    this.digest = await digestOf(declared);
    return pushBindings(this.access, this.hostId, { ...this.turn(), ...this.renewal(), declared });
  }

  renew() {
    return renewLease(this.access, this.hostId, { ...this.turn(), ...this.renewal() });
  }

  /** The reply to the request for a link. */
  async upgrade(changed: Record<string, string> = {}, through = worker): Promise<Response> {
    const path = `/v1/hosts/${this.hostId}/link`;
    const asked = { "berth-digest": this.digest, "berth-lease": String(this.lease) };
    const signed = await signedHeaders(this.access, { method: "GET", path, headers: asked }, this.turn());
    const headers = { ...signed, upgrade: "websocket", "sec-websocket-protocol": "berth.link.1", ...changed };
    return through(new Request(`${this.access.url}${path}`, { headers }));
  }

  async openLink(): Promise<TestLink> {
    const response = await this.upgrade();
    if (response.webSocket === null) throw new Error(`no link: ${response.status} ${await response.text()}`);
    return new TestLink(response.webSocket);
  }

  private turn() {
    return { epoch: this.epoch, sequence: ++this.sequence };
  }

  private renewal() {
    return { lease: this.lease, digest: this.digest };
  }
}

/** The agent's end of a link: what it heard, in order, and the code it was closed with. */
export class TestLink {
  readonly heard: string[] = [];
  readonly closed: Promise<number>;
  readonly socket: WebSocket;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.heard.push(String(data));
    });
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code }) => resolve(code));
    });
    socket.accept();
  }

  /** Resolves when it was answered. */
  ping(): Promise<void> {
    const answered = new Promise<void>((resolve) => {
      this.socket.addEventListener("message", ({ data }) => {
        if (data === "pong") resolve();
      });
    });
    this.socket.send("ping");
    return answered;
  }

  /** The grants it was told. */
  grants(): PushReply[] {
    return this.heard
      .filter((text) => text !== "pong")
      .map((text) => pushReplySchema.parse(JSON.parse(text)));
  }
}
