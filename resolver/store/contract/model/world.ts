import { expect } from "vitest";

import type { PushReply, Turn } from "../../../../shared/binding.ts";
import { canonicalText } from "../../../../shared/digest.ts";
import { parseName } from "../../../../shared/name.ts";
import type { Access } from "../../../access.ts";
import type { TurnOutcome, WithdrawOutcome } from "../../../store.ts";
import { below, generationOf, zone } from "../builders.ts";
import type { StoreHarness } from "../harness.ts";
import { expectedRefusals, seenRefusals } from "./expected-views.ts";
import { Observer } from "./observer.ts";
import { type ModelRequest, type ModelRules, RegistryModel } from "./registry-model.ts";
import { Speaker } from "./speaker.ts";
import { hostIds, type Pace, type TokenName, tokensIn } from "./universe.ts";

type Outcome = TurnOutcome | WithdrawOutcome;

/** A registry and its model, who speak to both of them, and everything that was said. */
export class World {
  readonly speakers = hostIds.map((_, host) => [new Speaker(host, false), new Speaker(host, true)] as const);
  readonly #harness: StoreHarness;
  readonly #pace: Pace;
  readonly #tokens: Record<TokenName, Access>;
  readonly #model: RegistryModel;
  readonly #observer: Observer;
  readonly #texts = new Map<string, string>();
  /** The newest first, those included that were held back on their way. */
  readonly #sent: ModelRequest[] = [];
  readonly #grantsRevisions = new Map<string, number>();
  readonly #generations = new Set<string>();

  constructor(harness: StoreHarness, rules: ModelRules, pace: Pace) {
    this.#harness = harness;
    this.#model = new RegistryModel(rules, (digest) => this.#texts.get(digest));
    this.#observer = new Observer(this.#model, pace);
    this.#tokens = tokensIn(pace);
    this.#pace = pace;
  }

  /** Milliseconds of one second of this history. */
  get secondMs(): number {
    return this.#pace.second * 1000;
  }

  /** What it asks for, in seconds. */
  leaseOf({ lease }: Speaker): number {
    return lease * this.#pace.second;
  }

  tokenOf(speaker: Speaker): Access {
    return this.#tokens[speaker.token];
  }

  push(speaker: Speaker): Promise<void> {
    return this.say(speaker, (turn) => this.wholePush(speaker, turn));
  }

  /** One of a long row: what came of them all is looked at in the end. */
  renewUnseen(speaker: Speaker): Promise<void> {
    return this.#converse(
      speaker,
      (turn) => this.renewal(speaker, turn),
      (request) => this.#judge(request),
    );
  }

  /** What is said next is the whole set, whenever the registry cannot go on from what was said before. */
  say(speaker: Speaker, first: (turn: Turn) => ModelRequest): Promise<void> {
    return this.#converse(speaker, first, (request) => this.#deliver(request));
  }

  async #converse(
    speaker: Speaker,
    first: (turn: Turn) => ModelRequest,
    deliver: (request: ModelRequest) => Promise<Outcome>,
  ): Promise<void> {
    let request = this.#written(first(speaker.nextTurn()));
    for (let attempt = 0; attempt < 5; attempt++) {
      const outcome = await deliver(request);
      if (outcome.kind === "unknown-generation") {
        speaker.generation = outcome.generation;
        const { generation } = outcome;
        request = this.#written(turnedTo(request, (turn) => ({ ...turn, generation })));
        continue;
      }
      if (outcome.kind === "accepted") return speaker.settle();
      if (outcome.kind === "superseded") {
        if (!speaker.isRaisedAbove(outcome.heldEpoch, outcome.leaseRemaining)) return;
      } else if (outcome.kind !== "unknown-digest" && outcome.kind !== "wrong-digest") return;
      request = this.#written(this.wholePush(speaker, speaker.nextTurn()));
    }
  }

  /** As `say`, but the request does not arrive; `repeat` may deliver it later. */
  holdBack(speaker: Speaker, make: (turn: Turn) => ModelRequest): void {
    this.#written(make(speaker.nextTurn()));
  }

  renewal(speaker: Speaker, turn: Turn, token: TokenName = speaker.token): ModelRequest {
    const { hostId, digest } = speaker;
    return {
      kind: "renew",
      hostId,
      access: this.#tokens[token],
      body: { ...turn, digest, lease: this.leaseOf(speaker) },
    };
  }

  wholePush(speaker: Speaker, turn: Turn): ModelRequest {
    const { hostId, token, declared, digest } = speaker;
    return {
      kind: "push",
      hostId,
      access: this.#tokens[token],
      body: { ...turn, declared, digest, lease: this.leaseOf(speaker) },
    };
  }

  /** The very same request once more: the last one, or the one so many before it; word for word, unless it is for a later epoch. */
  async repeat(back: number, epochsLater: number): Promise<void> {
    const request = this.#sent[back];
    if (request === undefined) return;
    const later = turnedTo(request, (turn) => ({ ...turn, epoch: turn.epoch + epochsLater }));
    await this.#deliver(epochsLater === 0 ? request : later);
  }

  async removeHost(hostId: string): Promise<void> {
    await this.#deliver({ kind: "withdraw", hostId });
  }

  async release(name: string): Promise<void> {
    const outcome = await this.#harness.store.releaseName(parseName(below(name)));
    expect(outcome).toEqual(this.#model.release(name));
    await this.look();
  }

  async advance(ms: number): Promise<void> {
    await this.#harness.advance(ms);
    // Not every store has somebody who looks by itself, and a lapse is one for others from when it was seen.
    await this.#harness.store.read(zone);
    this.#model.advance(ms);
  }

  async restart(): Promise<void> {
    if (this.#harness.restart === undefined) return;
    // A Durable Object that nobody asked for anything is not there to be ended.
    await this.#harness.store.read(zone);
    this.#harness.store = await this.#harness.restart();
    this.#model.restart();
  }

  /** Compares all answers and lists with the model's. */
  async look(): Promise<void> {
    await this.#observer.look(this.#harness.store);
  }

  async #judge(request: ModelRequest): Promise<Outcome> {
    const outcome = await this.#carryOut(request);
    const verdict = this.#model.judge(request);
    if (outcome.kind === "unknown-generation") this.#learn(generationOf(outcome));
    const { kind } = outcome;
    const seen = kind === "superseded" ? { ...outcome } : { kind };
    if ("leaseRemaining" in seen && "leaseRemaining" in verdict)
      seen.leaseRemaining = this.#observer.withoutTicks(seen.leaseRemaining, verdict.leaseRemaining);
    expect(seen, `what becomes of ${describeRequest(request)}`).toEqual(verdict);
    if (kind === "accepted") this.#checkReply(request.hostId, outcome.reply);
    return outcome;
  }

  async #deliver(request: ModelRequest): Promise<Outcome> {
    const outcome = await this.#judge(request);
    await this.look();
    return outcome;
  }

  #carryOut(request: ModelRequest): Promise<Outcome> {
    const { store } = this.#harness;
    const { hostId } = request;
    switch (request.kind) {
      case "push":
        return store.push(hostId, request.body, request.access);
      case "delta":
        return store.pushDelta(hostId, request.body, request.access);
      case "renew":
        return store.renew(hostId, request.body, request.access);
      case "withdraw":
        return store.withdraw(hostId, request.turn);
    }
  }

  /** The registry's own word; all that is known of it is when it has to be another. */
  #learn(generation: string): void {
    if (this.#model.generation === undefined) {
      expect(generation).not.toBe("");
      expect([...this.#generations], "a new life has a name of its own").not.toContain(generation);
    } else expect(generation).toBe(this.#model.generation);
    this.#generations.add(generation);
    this.#model.generation = generation;
  }

  #checkReply(hostId: string, reply: PushReply): void {
    const host = this.#model.hosts.get(hostId);
    if (host === undefined) throw new Error("the model took a request of a host it does not hold");
    const { lease, hostLabel, refused, revision, grantsRevision } = reply;
    const seen = { lease, hostLabel, refused: seenRefusals(refused) };
    expect(seen).toEqual({ lease: host.lease, hostLabel: host.label, refused: expectedRefusals(host) });
    const before = this.#grantsRevisions.get(hostId);
    if (host.grants === "grown" && before !== undefined)
      expect(grantsRevision, "grantsRevision").toBeGreaterThan(before);
    if (host.grants === "same") expect(grantsRevision, "grantsRevision").toBe(before);
    expect(grantsRevision).toBeLessThanOrEqual(revision);
    this.#grantsRevisions.set(hostId, grantsRevision);
    host.grants = "same";
  }

  #written(request: ModelRequest): ModelRequest {
    if (request.kind === "push") this.know(request.body.digest, canonicalText(request.body.declared));
    this.#sent.unshift(request);
    return request;
  }

  know(digest: string, text: string): void {
    this.#texts.set(digest, text);
  }
}

function turnedTo(request: ModelRequest, change: (turn: Turn) => Turn): ModelRequest {
  switch (request.kind) {
    case "push":
      return { ...request, body: { ...request.body, ...change(request.body) } };
    case "delta":
      return { ...request, body: { ...request.body, ...change(request.body) } };
    case "renew":
      return { ...request, body: { ...request.body, ...change(request.body) } };
    case "withdraw":
      return request.turn === undefined ? request : { ...request, turn: change(request.turn) };
  }
}

function describeRequest(request: ModelRequest): string {
  const turn = request.kind === "withdraw" ? request.turn : request.body;
  const by = turn === undefined ? "by an operator" : `in turn ${turn.epoch}.${turn.sequence}`;
  return `the ${request.kind} of ${request.hostId.slice(0, 8)} ${by}`;
}
