import {
  type Binding,
  type Declared,
  deltaBodySchema,
  pushBodySchema,
  renewalBodySchema,
} from "../../shared/binding.ts";
import { digestOf } from "../../shared/digest.ts";
import { BerthError } from "../../shared/errors.ts";
import type { HostTurn } from "../../shared/resolver-client.ts";

export interface Grant {
  kind: "push" | "delta" | "renew" | "withdraw" | "link";
  declared?: Declared;
}

/** What a registry holds of one host, by the rules an agent can rely on: turns, digests, leases. */
export class FakeRegistry {
  /** Seconds granted, whatever is asked for. */
  lease = 15;
  epoch = 0;
  sequence = 0;
  digest: string | undefined;
  #declared: Declared | undefined;
  /** An epoch. */
  #declaredBy = 0;
  #expiresAt = 0;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The digest of the set whose lease runs. */
  get held(): string | undefined {
    return this.#now() < this.#expiresAt ? this.digest : undefined;
  }

  /** Throws the refusal. The turn counts from then on. */
  takeTurn({ epoch, sequence }: HostTurn): void {
    const isLater = epoch > this.epoch || (epoch === this.epoch && sequence > this.sequence);
    if (!isLater) {
      const leaseRemaining = Math.max(0, Math.ceil((this.#expiresAt - this.#now()) / 1000));
      throw refusal("superseded", { heldEpoch: this.epoch, leaseRemaining });
    }
    this.epoch = epoch;
    this.sequence = sequence;
  }

  async push(json: unknown): Promise<Grant> {
    const { declared, digest } = pushBodySchema.parse(json);
    await this.#hold(declared, digest);
    return { kind: "push", declared };
  }

  async pushDelta(json: unknown): Promise<Grant> {
    const { base, digest, declared, changed, gone } = deltaBodySchema.parse(json);
    if (this.held !== base || this.#declared === undefined) throw refusal("unknown-digest");
    const replaced = new Set<string>([...gone, ...changed.map(({ name }) => name)]);
    const kept = this.#declared.bindings.filter(({ name }: Binding) => !replaced.has(name));
    const next = { ...declared, bindings: [...kept, ...changed] };
    await this.#hold(next, digest);
    return { kind: "delta", declared: next };
  }

  renew(json: unknown): Grant {
    this.prolong(renewalBodySchema.parse(json).digest);
    return { kind: "renew" };
  }

  prolong(digest: string): void {
    // A new process has to say first what it declares.
    if (this.held !== digest || this.#declaredBy !== this.epoch) throw refusal("unknown-digest");
    this.grant(digest);
  }

  /** Without asking what is held. */
  grant(digest: string): void {
    this.digest = digest;
    this.#declaredBy = this.epoch;
    this.#expiresAt = this.#now() + this.lease * 1000;
  }

  withdraw(): Grant {
    if (this.held === undefined) throw refusal("unknown-host");
    this.forget();
    return { kind: "withdraw" };
  }

  /** The set is gone, the turn is not. */
  forget(): void {
    this.#expiresAt = 0;
  }

  async #hold(declared: Declared, digest: string): Promise<void> {
    if ((await digestOf(declared)) !== digest) throw refusal("invalid-body");
    this.#declared = declared;
    this.grant(digest);
  }
}

export function refusal(code: string, facts: Record<string, unknown> = {}): BerthError {
  return new BerthError(code, `it is ${code}`, { facts });
}
