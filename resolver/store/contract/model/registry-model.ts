import type { Declared, Delta, Push, Renewal, Turn } from "../../../../shared/binding.ts";
import { canonicalBinding, canonicalText } from "../../../../shared/digest.ts";
import type { Access } from "../../../access.ts";
import { type StepFacts, settleEverything } from "./settling.ts";
import { type ModelClaim, type ModelHost, type ModelState, wishesFor } from "./state.ts";
import { grantedName } from "./universe.ts";

/** Where stores differ, because of where they run. */
export interface ModelRules {
  /** A restart forgets turns and begins another generation, in which every host has one fresh lease. */
  forgetsTurns: boolean;
  /** Lapses that come later than this (ms) are no host's fault: one more lease. */
  grace?: number;
}

/** Word for word what a host's agent, or an operator, asked for. */
export type ModelRequest =
  | { kind: "push"; hostId: string; access: Access; body: Push }
  | { kind: "delta"; hostId: string; access: Access; body: Delta }
  | { kind: "renew"; hostId: string; access: Access; body: Renewal }
  | { kind: "withdraw"; hostId: string; turn?: Turn };

export type Verdict =
  | { kind: "accepted" | "unknown-generation" | "host-not-allowed" | "unknown-digest" | "wrong-digest" }
  | { kind: "superseded"; heldEpoch: number; leaseRemaining: number }
  | { kind: "withdrawn" | "not-held" };

/** The registry as the protocol's page and the design describe it: plain maps, everything settled anew after every change. */
export class RegistryModel implements ModelState {
  now = 0;
  changes = 0;
  changedAt = 0;
  readonly hosts = new Map<string, ModelHost>();
  readonly holds: ModelState["holds"] = new Map();
  /** Learnt from the registry; undefined while nobody was told. */
  generation: string | undefined;
  readonly #last = new Map<string, { epoch: number; sequence: number }>();
  readonly #rules: ModelRules;
  readonly #textOf: (digest: string) => string | undefined;

  constructor(rules: ModelRules, textOf: (digest: string) => string | undefined) {
    this.#rules = rules;
    this.#textOf = textOf;
  }

  judge(request: ModelRequest): Verdict {
    switch (request.kind) {
      case "push":
        return this.#refuse(request, request.body.declared.hostLabel) ?? this.#take(request, request.body);
      case "delta":
        return this.#refuse(request, request.body.declared.hostLabel) ?? this.#takeDelta(request);
      case "renew":
        return (
          this.#refuse(request, this.hosts.get(request.hostId)?.declared.hostLabel) ?? this.#renew(request)
        );
      case "withdraw":
        return this.#withdraw(request);
    }
  }

  release(name: string): { kind: "not-held" | "released" } | { kind: "live"; hostLabels: string[] } {
    const hold = this.holds.get(name);
    if (hold === undefined) return { kind: "not-held" };
    if (hold.until === undefined) {
      const serving = wishesFor(this, name).filter(({ claim }) => claim.refusal === undefined);
      return { kind: "live", hostLabels: serving.map(({ host }) => host.label).toSorted() };
    }
    this.#change(() => {
      hold.until = this.now;
      return { vacated: new Set() };
    });
    return { kind: "released" };
  }

  /** Time passes, and then somebody looks. */
  advance(ms: number): void {
    this.now += ms;
    let over = [...this.hosts.values()].filter(({ expiresAt }) => expiresAt <= this.now);
    const earliest = Math.min(...over.map(({ expiresAt }) => expiresAt));
    if (this.now - earliest > (this.#rules.grace ?? Number.POSITIVE_INFINITY)) {
      for (const host of over) this.#prolong(host);
      over = [];
    }
    const isEnding = [...this.holds.values()].some(({ until }) => until !== undefined && until <= this.now);
    if (over.length === 0 && !isEnding) return;
    this.#change(() => {
      const vacated = new Set(over.flatMap(({ claims }) => [...claims.keys()]));
      for (const { hostId } of over) this.hosts.delete(hostId);
      return { vacated };
    });
  }

  restart(): void {
    if (!this.#rules.forgetsTurns) return;
    this.generation = undefined;
    this.#last.clear();
    for (const host of this.hosts.values()) {
      this.#last.set(host.hostId, { epoch: host.epoch, sequence: 0 });
      this.#prolong(host);
    }
  }

  /** In seconds, begun ones whole. */
  leaseRemaining(hostId: string): number {
    const left = (this.hosts.get(hostId)?.expiresAt ?? this.now) - this.now;
    return Math.ceil(left / 1000);
  }

  #refuse(request: Exclude<ModelRequest, { kind: "withdraw" }>, label?: string): Verdict | undefined {
    const { hostId, access, body } = request;
    if (!this.#isOfThisLife(body)) return { kind: "unknown-generation" };
    const { hosts } = access.scope;
    // Of 52 characters are ids, and nobody is who it only says it is.
    const named = hosts.map((host) => (host.length === 52 ? host === hostId : host === label));
    const isAllowed = hosts.length === 0 || label === undefined || named.includes(true);
    if (!isAllowed) return { kind: "host-not-allowed" };
    return this.#superseded(hostId, body);
  }

  #isOfThisLife({ generation }: Turn): boolean {
    return this.generation !== undefined && generation === this.generation;
  }

  #superseded(hostId: string, { epoch, sequence }: Turn): Verdict | undefined {
    const last = this.#last.get(hostId);
    if (last === undefined || epoch > last.epoch) return undefined;
    if (epoch === last.epoch && sequence > last.sequence) return undefined;
    return { kind: "superseded", heldEpoch: last.epoch, leaseRemaining: this.leaseRemaining(hostId) };
  }

  /** A whole set: taken whatever was there before. */
  #take({ hostId, access }: { hostId: string; access: Access }, push: Push): Verdict {
    const lease = leaseFor(push.lease, access);
    const old = this.hosts.get(hostId);
    if (old?.token.tokenId !== access.tokenId && this.#isFull(access)) return { kind: "host-not-allowed" };
    const isSame = old?.digest === push.digest && old.lease === lease && isSameToken(old.token, access);
    if (!isSame) this.#change(() => this.#replace(hostId, access, push, lease), hostId);
    const host = this.hosts.get(hostId);
    if (host !== undefined) this.#heard(host, push);
    return { kind: "accepted" };
  }

  /** A limited token has as many hosts as bindings, however few those declare. */
  #isFull({ tokenId, scope }: Access): boolean {
    const hosts = [...this.hosts.values()].filter(({ token }) => token.tokenId === tokenId);
    return hosts.length >= (scope.maxBindings ?? Number.POSITIVE_INFINITY);
  }

  #takeDelta({ hostId, access, body }: ModelRequest & { kind: "delta" }): Verdict {
    const old = this.hosts.get(hostId);
    if (old?.digest !== body.base || old.epoch !== body.epoch) return { kind: "unknown-digest" };
    const others = new Set([...body.changed.map(({ name }) => name), ...body.gone]);
    const kept = old.declared.bindings.filter(({ name }) => !others.has(name));
    const declared: Declared = { ...body.declared, bindings: [...kept, ...body.changed] };
    if (canonicalText(declared) !== this.#textOf(body.digest)) return { kind: "wrong-digest" };
    return this.#take({ hostId, access }, { ...body, declared });
  }

  #renew({ hostId, access, body }: ModelRequest & { kind: "renew" }): Verdict {
    const host = this.hosts.get(hostId);
    const isHeld = host?.digest === body.digest && host.epoch === body.epoch;
    if (host === undefined || !isHeld || !isSameRight(host.token, access)) return { kind: "unknown-digest" };
    const lease = leaseFor(body.lease, host.token);
    // TTLs follow from it.
    if (lease !== host.lease)
      this.#change(() => {
        host.lease = lease;
        return { vacated: new Set() };
      });
    this.#heard(host, body);
    return { kind: "accepted" };
  }

  #withdraw({ hostId, turn }: ModelRequest & { kind: "withdraw" }): Verdict {
    if (turn !== undefined) {
      if (!this.#isOfThisLife(turn)) return { kind: "unknown-generation" };
      const refused = this.#superseded(hostId, turn);
      if (refused !== undefined) return refused;
    }
    const host = this.hosts.get(hostId);
    if (host === undefined) return { kind: "not-held" };
    this.#change(() => {
      this.hosts.delete(hostId);
      return { vacated: new Set(host.claims.keys()) };
    });
    if (turn !== undefined) this.#last.set(hostId, { epoch: turn.epoch, sequence: turn.sequence });
    return { kind: "withdrawn" };
  }

  #replace(hostId: string, token: Access, push: Push, lease: number): StepFacts {
    const { declared, digest, epoch } = push;
    const old = this.hosts.get(hostId);
    const keepsLabel = old?.declared.hostLabel === declared.hostLabel;
    const label = keepsLabel ? old.label : this.#freeLabel(hostId, declared.hostLabel);
    const claims = this.#claimsOf(declared, label, old);
    const { addresses } = declared;
    // What its own push changes for it is no news to it.
    const grants: ModelHost["grants"] = old?.grants === "grown" ? "grown" : "may grow";
    const host = {
      hostId,
      epoch,
      digest,
      lease,
      expiresAt: 0,
      declared,
      label,
      addresses,
      token,
      claims,
      grants,
    };
    this.hosts.set(hostId, host);
    const vacated = new Set([...(old?.claims.keys() ?? [])].filter((name) => !claims.has(name)));
    const hasMoved = old !== undefined && old.token.owner !== token.owner;
    return hasMoved ? { vacated, defector: { hostId, owner: old.token.owner } } : { vacated };
  }

  #claimsOf(declared: Declared, label: string, old: ModelHost | undefined): Map<string, ModelClaim> {
    const claims = new Map<string, ModelClaim>();
    const groups = Map.groupBy(declared.bindings, (one) => grantedName(one, declared.hostLabel, label));
    for (const [name, bindings] of groups) {
      const before = old?.claims.get(name);
      const text = (set: typeof bindings) => set.map(canonicalBinding).toSorted().join();
      // One that could not be granted for its own sake waited for nobody: its turn begins when it changes.
      const waitedForNobody = before?.refusal?.code === "reserved" || before?.refusal?.code === "not-allowed";
      const isNew = before === undefined || (waitedForNobody && text(before.bindings) !== text(bindings));
      const fresh = { bindings, since: this.changes, hasRoom: false };
      claims.set(name, isNew ? fresh : { ...before, bindings });
    }
    return claims;
  }

  /** The declared label, or that with as much of the host id as no other host has. */
  #freeLabel(hostId: string, declared: string): string {
    const others = [...this.hosts.values()].filter((host) => host.hostId !== hostId);
    const isFree = (label: string) => others.every((host) => host.label !== label);
    const lengths = Array.from({ length: 40 }, (_, index) => index + 6);
    const candidates = [declared, ...lengths.map((length) => `${declared}-${hostId.slice(0, length)}`)];
    return candidates.find(isFree) ?? hostId;
  }

  #heard(host: ModelHost, { epoch, sequence }: Turn): void {
    host.epoch = epoch;
    this.#last.set(host.hostId, { epoch, sequence });
    this.#prolong(host);
  }

  #prolong(host: ModelHost): void {
    host.expiresAt = this.now + host.lease * 1000;
  }

  /** One step of the registry; other hosts hear by their grantsRevision what it changed for them. */
  #change(step: () => StepFacts, speaker?: string): void {
    this.changes++;
    this.changedAt = this.now;
    const before = new Map([...this.hosts].map(([hostId, host]) => [hostId, refusalsOf(host)]));
    settleEverything(this, step());
    for (const [hostId, host] of this.hosts) {
      const known = before.get(hostId);
      if (known === undefined || host.grants === "grown") continue;
      const names = [...host.claims.keys()];
      const after = refusalsOf(host);
      const differs = (part: "shown" | "standing") =>
        names.some((name) => known.get(name)?.[part] !== after.get(name)?.[part]);
      if (differs("shown") && hostId !== speaker) host.grants = "grown";
      else if (differs("standing")) host.grants = "may grow";
    }
  }
}

function leaseFor(asked: number, { scope }: Access): number {
  return Math.max(5, Math.min(asked, 3600, scope.maxLease ?? 3600));
}

function isSameRight(a: Access, b: Access): boolean {
  return a.owner === b.owner && JSON.stringify(a.scope) === JSON.stringify(b.scope);
}

function isSameToken(a: Access, b: Access): boolean {
  return a.tokenId === b.tokenId && isSameRight(a, b);
}

/** Of each claim what is refused, and whether the one it is refused for serves the name or has it kept. */
function refusalsOf({ claims }: ModelHost): Map<string, { shown: string; standing: string | undefined }> {
  const texts = [...claims].map(([name, { refusal }]) => {
    const { standing, ...shown } = refusal ?? {};
    return [name, { shown: JSON.stringify(shown), standing }] as const;
  });
  return new Map(texts);
}
