import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

import {
  type Binding,
  type Declared,
  deltaBodySchema,
  pushBodySchema,
  renewalBodySchema,
} from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";

type Reply = { status: number; body: unknown };

/** The push API with one host: takes what has the right digest, and remembers it. It judges neither signatures nor names. */
export class PushRecorder {
  declared: Declared | undefined;
  pushes = 0;
  renewals = 0;
  withdrawals = 0;
  /** Called with each set that was taken. */
  onPush: (declared: Declared) => void = () => {};
  #digest: string | undefined;
  #epoch = 0;
  readonly #server: Server;

  static async start(): Promise<PushRecorder> {
    const recorder = new PushRecorder();
    await new Promise<void>((resolve) => recorder.#server.listen(0, "127.0.0.1", resolve));
    return recorder;
  }

  constructor() {
    this.#server = createServer(async (request, response) => {
      const { method, url, headers } = request;
      const turn = { epoch: Number(headers["berth-epoch"]), sequence: Number(headers["berth-sequence"]) };
      const { status, body } = await this.#answer(method, url, turn, await text(request));
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  bindingsOf(name: string): Binding[] | undefined {
    const found = this.declared?.bindings.filter((binding) => binding.name === name) ?? [];
    return found.length === 0 ? undefined : found;
  }

  /** The bindings of a container's own name on one service port. */
  bindingsOn(container: string, servicePort: number): Binding[] {
    const found = this.bindingsOf(`${container}.berth.internal.`) ?? [];
    return found.filter((binding) => binding.servicePort === servicePort);
  }

  /** The codes of what is declared to be wrong, and with which container. */
  get problems(): string[] {
    return (this.declared?.problems ?? []).map(({ container, code }) => `${container} ${code}`.trim());
  }

  wipe(): void {
    this.#digest = this.declared = undefined;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(
    method = "",
    url = "",
    turn: { epoch: number; sequence: number },
    body: string,
  ): Promise<Reply> {
    if (method === "DELETE") this.withdrawals += 1;
    if (method !== "PUT" && method !== "PATCH") return { status: 404, body: null };
    const json: unknown = JSON.parse(body);
    const { lease } = renewalBodySchema.loose().parse(json);
    if (turn.sequence === 1 && this.#epoch > 0 && turn.epoch <= this.#epoch)
      return errorReply(409, "superseded", { heldEpoch: this.#epoch, leaseRemaining: lease });
    if (method === "PATCH") return this.#delta(json, turn.epoch);
    return url.endsWith("/lease") ? this.#renewal(json) : this.#push(json, turn.epoch);
  }

  #renewal(json: unknown): Reply {
    const { lease, digest } = renewalBodySchema.parse(json);
    if (digest !== this.#digest) return errorReply(409, "unknown-digest", {});
    this.renewals += 1;
    return granted(lease);
  }

  #push(json: unknown, epoch: number): Promise<Reply> {
    const { lease, digest, declared } = pushBodySchema.parse(json);
    return this.#take(declared, digest, epoch, lease);
  }

  async #delta(json: unknown, epoch: number): Promise<Reply> {
    const { lease, digest, base, declared, changed, gone } = deltaBodySchema.parse(json);
    if (this.declared === undefined || base !== this.#digest) return errorReply(409, "unknown-digest", {});
    const touched = new Set([...gone, ...changed.map(({ name }) => name)]);
    const kept = this.declared.bindings.filter(({ name }) => !touched.has(name));
    return this.#take({ ...declared, bindings: [...kept, ...changed] }, digest, epoch, lease);
  }

  async #take(declared: Declared, digest: string, epoch: number, lease: number): Promise<Reply> {
    if ((await digestOf(declared)) !== digest) return errorReply(422, "bad-digest", {});
    this.pushes += 1;
    this.declared = declared;
    this.#digest = digest;
    this.#epoch = epoch;
    this.onPush(declared);
    return granted(lease);
  }
}

function granted(lease: number): Reply {
  return { status: 200, body: { lease, revision: 1, grantsRevision: 1, hostLabel: "alpha", refused: [] } };
}

function errorReply(status: number, code: string, facts: object): Reply {
  return { status, body: { error: { code, message: code, ...facts } } };
}
