import { generateKeyPairSync } from "node:crypto";
import { binding, ip } from "../../resolver/store/contract/builders.ts";
import type { Binding, Declared, PushReply } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import { hostIdOfPublicKey } from "../../shared/signature.ts";
import { signedHeaders } from "../../shared/signed-headers.ts";
import { signerOfKey } from "../../shared/testing/test-signer.ts";
import type { Asked, RegistryBed, Reply } from "./registry-bed.ts";

/** A container host as a client that signs, counts its turns and knows what was acknowledged. One request at a time. */
export class RegistryHost {
  readonly label: string;
  readonly hostId: string;
  readonly bed: RegistryBed;
  token: string;
  lease = 3600;
  epoch = 1;
  sequence = 0;
  readonly generation = { current: "" };
  readonly #signer: ReturnType<typeof signerOfKey>;

  private constructor(
    bed: RegistryBed,
    label: string,
    hostId: string,
    signer: ReturnType<typeof signerOfKey>,
  ) {
    this.bed = bed;
    this.label = label;
    this.hostId = hostId;
    this.#signer = signer;
    this.token = bed.token("agent");
  }

  static async make(bed: RegistryBed, label: string): Promise<RegistryHost> {
    const signer = signerOfKey(generateKeyPairSync("ed25519").privateKey);
    const hostId = (await hostIdOfPublicKey(signer.publicKey)) ?? "";
    return new RegistryHost(bed, label, hostId, signer);
  }

  get path(): string {
    return `/v1/hosts/${this.hostId}`;
  }

  declare(bindings: Binding[], said: Partial<Declared> = {}): Declared {
    const about = { hostLabel: this.label, addresses: [ip("10.0.0.5")], local: false, problems: [] };
    return { ...about, bindings, ...said };
  }

  /** Pushes one Compose service on port 80 for each name, all on the host's port `port`. */
  async pushNames(names: string[], port = 8080): Promise<Reply> {
    return this.push(this.declare(names.map((name) => binding(name, { port }))));
  }

  async push(declared: Declared): Promise<Reply> {
    const body = { lease: this.lease, digest: await digestOf(declared), declared };
    return this.send("PUT", this.path, body);
  }

  async renew(declared: Declared): Promise<Reply> {
    return this.send("PUT", `${this.path}/lease`, { lease: this.lease, digest: await digestOf(declared) });
  }

  /** A request of the next turn, once more when it was signed for another life of the registry. */
  async send(method: string, path: string, body?: unknown): Promise<Reply> {
    this.sequence++;
    const reply = await this.bed.ask(await this.sign(method, path, body));
    const generation = reply.status === 401 ? faultIn(reply).generation : undefined;
    if (generation === undefined) return reply;
    this.generation.current = generation;
    return this.bed.ask(await this.sign(method, path, body));
  }

  /** A request that is right in every way, for the present turn, to be sent or to be tampered with. */
  async sign(
    method: string,
    path: string,
    body?: unknown,
    own: Record<string, string> = {},
  ): Promise<SignedRequest> {
    const octets = body === undefined ? undefined : new TextEncoder().encode(asText(body));
    const type = octets === undefined ? {} : { "content-type": "application/json" };
    const access = {
      fetch,
      url: this.bed.url,
      token: this.token,
      timeoutMs: 1000,
      signer: this.#signer,
      generation: this.generation,
    };
    const content = octets === undefined ? {} : { body: octets };
    const asked = { method, path, headers: { ...type, ...own }, ...content };
    const headers = await signedHeaders(access, asked, { epoch: this.epoch, sequence: this.sequence });
    return { method, path, headers, ...content };
  }
}

export type SignedRequest = Asked & { method: string; headers: Record<string, string> };

/** What a reply says went wrong. */
export function faultIn(reply: Reply): { code: string; message: string; generation?: string } {
  const text = reply.body.toString();
  try {
    return (JSON.parse(text) as { error: { code: string; message: string; generation?: string } }).error;
  } catch (cause) {
    throw new Error(`${reply.status}, and no fault: ${text.slice(0, 300)}`, { cause });
  }
}

export function pushReplyIn(reply: Reply): PushReply {
  if (reply.status !== 200) throw new Error(`${reply.status}: ${reply.body.toString().slice(0, 500)}`);
  return JSON.parse(reply.body.toString()) as PushReply;
}

function asText(body: unknown): string {
  return typeof body === "string" ? body : JSON.stringify(body);
}
