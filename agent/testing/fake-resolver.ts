import { type Declared, type Push, pushSchema, type Renewal, renewalSchema } from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";

export interface Request {
  kind: "push" | "renew";
  body: Push | Renewal;
  declared: Declared | undefined;
  /** Fake time, as the test's clock has it. */
  at: number;
}

type Answer = { status: number; body: unknown } | "unreachable" | "lost";

/** The push API as far as an agent sees it: digests are checked, epochs and leases are the test's to decide. */
export class FakeResolver {
  readonly requests: Request[] = [];
  /** Answers for the next requests, before the ordinary ones; "lost" takes the request in and loses the reply. */
  readonly answers: Answer[] = [];
  isDown = false;
  reply = { lease: 15, refused: [] as unknown[], hostLabel: "alpha" };
  held: string | undefined;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly fetch = (async (input: URL | string, init: RequestInit = {}) => {
    init.signal?.throwIfAborted();
    const path = new URL(input).pathname;
    const kind = path.endsWith("/lease") ? "renew" : "push";
    const json: unknown = JSON.parse(String(init.body));
    const body: Push | Renewal = kind === "push" ? pushSchema.parse(json) : renewalSchema.parse(json);
    if (this.isDown) throw new TypeError("fetch failed");
    const declared = declaredIn(body);
    this.requests.push({ kind, body, declared, at: this.#now() });
    const answer = this.answers.shift();
    if (answer === "unreachable") throw new TypeError("fetch failed");
    if (answer !== undefined && answer !== "lost")
      return Response.json(answer.body, { status: answer.status });
    const usual = await this.#answer(body);
    if (answer === "lost") throw new TypeError("fetch failed");
    return usual;
  }) as typeof fetch;

  async #answer(body: Push | Renewal): Promise<Response> {
    const declared = declaredIn(body);
    if (declared !== undefined) {
      if ((await digestOf(declared)) !== body.digest) return fault(422, "bad-digest", "digest differs");
      this.held = body.digest;
    } else if (this.held !== body.digest) return fault(409, "unknown-digest", "push the whole set");
    return Response.json({ revision: 1, grantsRevision: 1, ...this.reply });
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
}

export function errorAnswer(status: number, code: string, facts: Record<string, unknown> = {}): Answer {
  return { status, body: { error: { code, message: `it is ${code}`, ...facts } } };
}

function declaredIn(body: Push | Renewal): Declared | undefined {
  return "declared" in body ? (body as Push).declared : undefined;
}

function fault(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
