import type { Declared, PushReply } from "../../shared/binding.ts";
import { matchesContentDigest } from "../../shared/content-digest.ts";
import { BerthError } from "../../shared/errors.ts";
import { verifyRequest } from "../../shared/signature.ts";
import { bodyComponent, linkComponents, turnComponents } from "../../shared/signed-headers.ts";
import { FakeRegistry, type Grant, refusal } from "./fake-registry.ts";
import { hostId } from "./test-host.ts";

export interface Request {
  kind: Grant["kind"];
  /** Of the resolver: several may stand before one registry. */
  origin: string;
  /** `epoch.sequence` */
  turn: string;
  declared: Declared | undefined;
  token: string;
  /** Fake time, as the test's clock has it. */
  at: number;
}

type Answer = { status: number; body: unknown } | "unreachable" | "lost";

interface Asked {
  method: string;
  url: URL;
  headers: Headers;
  body?: Uint8Array<ArrayBuffer> | undefined;
}

const statuses: Record<string, number> = {
  "bad-signature": 401,
  "unknown-generation": 401,
  "unknown-host": 404,
  "not-found": 404,
  "invalid-body": 422,
};

/** The push API as an agent sees it, of one registry behind any number of resolvers: signatures, turns and digests are checked. */
export class FakeResolver {
  readonly requests: Request[] = [];
  /** To links. */
  readonly upgrades: Request[] = [];
  /** Answers for the next requests, before the ordinary ones; "lost" takes the request in and loses the reply. */
  readonly answers: Answer[] = [];
  /** Origins where nothing answers. */
  readonly down = new Set<string>();
  isDown = false;
  generation = "life-1";
  /** By origin, where it is not that one. */
  readonly generations = new Map<string, string>();
  /** Requests signed for another generation. */
  outdated = 0;
  takesDeltas = true;
  reply: Partial<PushReply> = { refused: [], hostLabel: "alpha" };
  readonly registry: FakeRegistry;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.registry = new FakeRegistry(now);
  }

  readonly fetch = (async (input: URL | string, init: RequestInit = {}) => {
    init.signal?.throwIfAborted();
    const body = init.body instanceof Uint8Array ? new Uint8Array(init.body) : undefined;
    const headers = new Headers(init.headers);
    return this.answer({ method: init.method ?? "GET", url: new URL(String(input)), headers, body });
  }) as typeof fetch;

  /** Rejects as fetch does when nobody answers. */
  async answer(asked: Asked): Promise<Response> {
    if (this.isDown || this.down.has(asked.url.origin)) throw new TypeError("fetch failed");
    try {
      await this.#verify(asked, turnComponents);
    } catch (fault) {
      return replyTo(fault);
    }
    const answer = this.answers.shift();
    if (answer === "lost") await this.#take(asked).catch(() => {});
    else if (answer !== undefined) this.#record(asked, { kind: kindOf(asked) });
    if (answer === "lost" || answer === "unreachable") throw new TypeError("fetch failed");
    if (answer !== undefined) return Response.json(answer.body, { status: answer.status });
    try {
      const { kind } = await this.#take(asked);
      return kind === "withdraw" ? new Response(null, { status: 204 }) : Response.json(this.pushReply());
    } catch (fault) {
      return replyTo(fault);
    }
  }

  /** Judges the upgrade to a link as a renewal; throws the refusal. Resolves to the epoch the link stands for. */
  async acceptLink(url: URL, headers: Headers): Promise<number> {
    if (this.isDown || this.down.has(url.origin)) throw new TypeError("connect failed");
    const asked = { method: "GET", url, headers };
    await this.#verify(asked, [...turnComponents, ...linkComponents]);
    this.#record(asked, { kind: "link" });
    this.registry.takeTurn(turnOf(headers));
    this.registry.prolong(headers.get("berth-digest") ?? "");
    return this.registry.epoch;
  }

  /** Prolongs the lease for a link; false when the link stands for another epoch, or nothing is held any more. */
  takesPing(epoch: number): boolean {
    const { held } = this.registry;
    if (epoch !== this.registry.epoch || held === undefined) return false;
    this.registry.prolong(held);
    return true;
  }

  pushReply(): unknown {
    return { revision: 1, grantsRevision: 1, lease: this.registry.lease, ...this.reply };
  }

  get last(): Request | undefined {
    return this.requests.at(-1);
  }

  /** The bindings of the last push, in short: `name port` of every one not named after the host. */
  get declaredPorts(): string[] {
    const pushed = this.requests.findLast(({ declared }) => declared !== undefined)?.declared;
    return (pushed?.bindings ?? [])
      .filter(({ rule }) => rule !== "host")
      .map(({ name, port }) => `${name} ${port}`);
  }

  async #verify({ method, url, headers, body }: Asked, components: readonly string[]): Promise<void> {
    const required = body === undefined ? components : [...components, bodyComponent];
    const nonce = await verifyRequest({ method, path: url.pathname, headers }, required, hostId);
    const digest = headers.get(bodyComponent) ?? "";
    if (body !== undefined && !(await matchesContentDigest(digest, body))) throw refusal("bad-signature");
    const generation = this.generations.get(url.origin) ?? this.generation;
    if (nonce === generation) return;
    this.outdated += 1;
    throw refusal("unknown-generation", { generation });
  }

  async #take(asked: Asked): Promise<Grant> {
    const request = this.#record(asked, { kind: kindOf(asked) });
    if (request.kind === "delta" && !this.takesDeltas) throw refusal("not-found");
    this.registry.takeTurn(turnOf(asked.headers));
    const grant = await this.#grant(asked, request.kind);
    request.declared = grant.declared;
    return grant;
  }

  #grant({ body }: Asked, kind: Grant["kind"]): Promise<Grant> | Grant {
    if (kind === "withdraw") return this.registry.withdraw();
    const json: unknown = JSON.parse(new TextDecoder().decode(body));
    if (kind === "renew") return this.registry.renew(json);
    return kind === "push" ? this.registry.push(json) : this.registry.pushDelta(json);
  }

  #record({ url, headers }: Asked, { kind }: Grant): Request {
    const { epoch, sequence } = turnOf(headers);
    const token = headers.get("authorization") ?? "";
    const turn = `${epoch}.${sequence}`;
    const request = { kind, origin: url.origin, turn, declared: undefined, token, at: this.#now() };
    (kind === "link" ? this.upgrades : this.requests).push(request);
    return request;
  }
}

export function errorAnswer(status: number, code: string, facts: Record<string, unknown> = {}): Answer {
  return { status, body: { error: { code, message: `it is ${code}`, ...facts } } };
}

export function statusOf(fault: unknown): number {
  return fault instanceof BerthError ? (statuses[fault.code] ?? 409) : 500;
}

function replyTo(fault: unknown): Response {
  if (!(fault instanceof BerthError)) throw fault;
  const error = { code: fault.code, message: fault.message, ...fault.facts };
  return Response.json({ error }, { status: statusOf(fault) });
}

function kindOf({ method, url }: Asked): Grant["kind"] {
  if (method === "DELETE") return "withdraw";
  if (method === "PATCH") return "delta";
  return url.pathname.endsWith("/lease") ? "renew" : "push";
}

function turnOf(headers: Headers): { epoch: number; sequence: number } {
  return { epoch: Number(headers.get("berth-epoch")), sequence: Number(headers.get("berth-sequence")) };
}
