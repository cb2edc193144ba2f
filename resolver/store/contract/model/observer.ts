import { expect } from "vitest";

import { RRType } from "../../../../shared/dns/constants.ts";
import type { Rdata } from "../../../../shared/dns/message.ts";
import { parseName } from "../../../../shared/name.ts";
import type { BindingStore } from "../../../store.ts";
import type { ZoneView } from "../../../zone/zone.ts";
import { below, zone } from "../builders.ts";
import { type Answer, type Answers, answerAt, answersFrom } from "./expected-answers.ts";
import { expectedViews, seenViews, type Views } from "./expected-views.ts";
import type { RegistryModel } from "./registry-model.ts";
import { type Pace, relative, sharedNames } from "./universe.ts";

/** Asks a store everything that can be asked of the small universe, and expects what the model says. */
export class Observer {
  readonly #model: RegistryModel;
  /** How far a store's clock may have ticked by itself; 0: it stands still between steps. */
  readonly #driftMs: number;
  readonly #freeSerial: boolean;
  /** What the registry's clock showed when the history began: told by the first hold. */
  #start: number | undefined;
  #before: { changes: number; revision: number; serial: number } | undefined;
  /** Every owner name that ever had an answer, because each may go again. */
  readonly #owners = new Set<string>(
    sharedNames.flatMap((name) => [name, `_tcp.${name}`, `_80._tcp.${name}`, `_443._tcp.${name}`]),
  );

  constructor(model: RegistryModel, { driftMs, freeSerial }: Pick<Pace, "driftMs" | "freeSerial">) {
    this.#model = model;
    this.#driftMs = driftMs;
    this.#freeSerial = freeSerial;
  }

  async look(store: BindingStore): Promise<void> {
    const answers = answersFrom(this.#model);
    const [hosts, services, names, apex] = [
      await store.hosts(),
      await store.services(),
      await store.names(),
      await store.read(zone),
    ];
    const [first] = names.names;
    const expected = expectedViews(this.#model);
    if (first !== undefined) this.#start ??= first.since - (expected.names[0]?.since ?? 0);
    const seen = seenViews(hosts.hosts, services.services, names.names, this.#start ?? 0);
    this.#expectSame(this.#viewsWithoutTicks(seen, expected), expected);
    expect([services.revision, names.revision], "one revision").toEqual([hosts.revision, hosts.revision]);
    this.#lookAtCounters(hosts.revision, apex.serial);
    await this.#lookAtSome(store, services.services);
    await this.#lookAtAnswers(store, answers);
  }

  /** Nothing changed, neither grows; something did, and both do. */
  #lookAtCounters(revision: number, serial: number): void {
    const { changes, changedAt } = this.#model;
    // Where a serial begins is a store's own affair.
    const before = this.#before ?? { changes: 0, revision: 0, serial: changes === 0 ? serial : 0 };
    if (changes === before.changes) expect({ revision, serial }).toMatchObject(pick(before));
    else {
      expect(revision, "revision").toBeGreaterThan(before.revision);
      expect(serial, "serial").toBeGreaterThan(before.serial);
      const seconds = Math.floor(((this.#start ?? -changedAt) + changedAt) / 1000);
      if (!this.#freeSerial)
        expect(serial, "serial").toBeGreaterThanOrEqual(seconds - Math.ceil(this.#driftMs / 1000));
    }
    this.#before = { changes, revision, serial };
  }

  async #lookAtSome(store: BindingStore, all: { name: string }[]): Promise<void> {
    const some = sharedNames.slice(0, 2).map((name) => parseName(below(name)));
    const { services } = await store.services(some);
    this.#expectSame(
      services,
      all.filter(({ name }) => some.some((one) => one === name)),
    );
  }

  async #lookAtAnswers(store: BindingStore, answers: Answers): Promise<void> {
    for (const owner of answers.keys()) {
      const labels = owner.split(".");
      for (const index of labels.keys()) this.#owners.add(labels.slice(index).join("."));
    }
    const owners = [...this.#owners];
    const views = await Promise.all(owners.map((owner) => store.read(below(owner))));
    const seen = views.map((view, index) => this.#answerFrom(view, owners[index] ?? ""));
    const expected = owners.map((owner) => ({ owner, ...this.#timeless(answerAt(answers, owner)) }));
    this.#expectSame(seen, expected);
  }

  #answerFrom({ exists, rrsets, additional }: ZoneView, owner: string): Answer & { owner: string } {
    const rdata = rrsets.flatMap((rrset) => rrset.rdata);
    const endpoints = rdata.flatMap((one) => {
      if (one.type !== RRType.SRV) return [];
      const targets = additional.filter((known) => known.owner === one.target);
      return targets.flatMap(({ rrset }) => addressesOf(rrset.rdata).map((at) => `${at}:${one.port}`));
    });
    const texts = rdata.flatMap((one) => (one.type === RRType.TXT ? [one.texts.join(" ")] : []));
    const ports = rdata.flatMap((one) => (one.type === RRType.PTR ? [relative(one.target)] : []));
    const ttls = rrsets.map(({ ttl, rdata: [first] }) => [typeName(first?.type), ttl]);
    const answer = {
      exists,
      addresses: addressesOf(rdata).toSorted(),
      endpoints: endpoints.toSorted(),
      texts: texts.toSorted(),
      ports,
      ttls: Object.fromEntries(ttls),
    };
    return { owner, ...this.#timeless(answer) };
  }

  /** TTLs count down, so a clock that ticks cannot be held to them. */
  #timeless(answer: Answer): Answer {
    return this.#driftMs === 0 ? answer : { ...answer, ttls: {} };
  }

  /** Seconds left, as they would be had the clock not ticked. */
  withoutTicks(seen: number, expected: number): number {
    return expected - seen >= 0 && (expected - seen) * 1000 <= this.#driftMs ? expected : seen;
  }

  #viewsWithoutTicks(seen: Views, expected: Views): Views {
    if (this.#driftMs === 0) return seen;
    const near = (a: number | null, b: number | null | undefined) =>
      a !== null && b != null && Math.abs(a - b) <= this.#driftMs ? b : a;
    const names = seen.names.map((name, index) => {
      const other = expected.names[index];
      return { ...name, since: near(name.since, other?.since) ?? 0, until: near(name.until, other?.until) };
    });
    const hosts = seen.hosts.map((host, index) => {
      const left = expected.hosts[index]?.leaseRemaining ?? 0;
      return { ...host, leaseRemaining: this.withoutTicks(host.leaseRemaining, left) };
    });
    return { ...seen, names, hosts };
  }

  /** By text first: of a thousand looks one differs at most, and a deep comparison costs more than all the rest. */
  #expectSame(seen: unknown, expected: unknown): void {
    if (JSON.stringify(seen) !== JSON.stringify(expected)) expect(seen).toEqual(expected);
  }
}

function addressesOf(rdata: Rdata[]): string[] {
  return rdata.flatMap((one) => (one.type === RRType.A || one.type === RRType.AAAA ? [one.address] : []));
}

function typeName(type: number | undefined): string {
  return Object.entries(RRType).find(([, value]) => value === type)?.[0] ?? "none";
}

function pick({ revision, serial }: { revision: number; serial: number }) {
  return { revision, serial };
}
