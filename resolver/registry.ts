import type { Delta, Push, Renewal, Turn } from "../shared/binding.ts";
import type { Name } from "../shared/name.ts";
import type { Access } from "./access.ts";
import { applyStep, replaceHost } from "./apply.ts";
import { type ChangeRecorder, entryOfHostGone, entryOfPush, entryOfRelease, entryOfTurn } from "./audit.ts";
import type { Change } from "./changes.ts";
import { type Draft, unsettle } from "./draft.ts";
import { hostsBehind, LeaseBook } from "./lease-book.ts";
import { asGranted } from "./own-names.ts";
import {
  judgeRelease,
  leaseRemaining,
  type Plan,
  planDelta,
  planPush,
  planRenewal,
  refuseTurn,
  replyTo,
} from "./plan.ts";
import type { Counters, Hold, HostRecord, ZoneEntry } from "./records.ts";
import type { RegistrySettings } from "./settings.ts";
import { outdatedNames, type SettledHold } from "./settle.ts";
import type { ReleaseOutcome, TurnOutcome, WithdrawOutcome } from "./store.ts";
import type { Leases, Tables } from "./tables.ts";
import type { Zone, ZoneView } from "./zone/zone.ts";

export interface RegistryParts {
  tables: Tables;
  leases: Leases;
  zone: Zone;
  settings: RegistrySettings;
  /** Milliseconds since 1970; where the runtime has one, from a clock that does not step: leases are counted on it. */
  now: () => number;
  /** Lower-case hex SHA-256 of a text. Synchronous, as every step of the registry is. */
  digest: (text: string) => string;
  /** A lapse more than this many milliseconds late means our clockwork stood still, not the hosts: they get one more lease. */
  overdueGrace?: number;
  /** Called inside the transaction with the owner names whose entries changed; without it nobody compiles them to compare. */
  observeOwners?: (owners: Name[]) => void;
  /** Told what was done, in the transaction that did it. */
  audit?: ChangeRecorder;
  /** Called after a change, once it is durable. */
  onCommitted?: (change: Change) => void;
  /** Where revision and serial are counted elsewhere. `now` in milliseconds. */
  nextCounters?: (last: Counters, now: number) => Counters;
  /** Where holds are kept elsewhere: told what should be held, which then comes into the tables from there, or does not. */
  keepHold?: (settled: SettledHold) => void;
}

/**
 * Bindings of all the hosts removed in one step, when more lapse together: some tens of milliseconds, for which lookups wait. A larger
 * host is removed whole.
 */
const lapsedAtOnce = 1_000;
/** After such a step, for how long lookups and renewals leave the rest to whoever calls for it; ms. */
const lapseRestMs = 200;

/**
 * The rules of the registry over whatever keeps its tables: whose turn it is, what is granted, when it lapses. Synchronous, so that one
 * push is one step and no reader sees half of it.
 */
export class Registry {
  private readonly parts: RegistryParts;
  private readonly book: LeaseBook;
  /** No kept name's time is up before this moment; undefined until it was looked up. */
  private nextHoldEnd: number | undefined;
  /** When hosts were removed the last time and some were left over; undefined when none were. */
  private restSince: number | undefined;

  constructor(parts: RegistryParts) {
    this.parts = parts;
    this.book = new LeaseBook(parts);
  }

  push(hostId: string, push: Push, access: Access): TurnOutcome {
    this.lapse();
    return this.carryOut(planPush(this.parts, hostId, push, access), access);
  }

  pushDelta(hostId: string, delta: Delta, access: Access): TurnOutcome {
    this.lapse();
    return this.carryOut(planDelta(this.parts, hostId, delta, access), access);
  }

  renew(hostId: string, renewal: Renewal, access: Access): TurnOutcome {
    this.lapseIfPossible();
    this.removedOver([hostId]);
    return this.carryOut(planRenewal(this.parts, hostId, renewal, access), access);
  }

  /** Prolongs the lease for a link's ping. False when another process speaks for the host by now, or its lease is over. */
  touch(hostId: string, epoch: number): boolean {
    const lease = this.book.running(hostId);
    const host = this.parts.tables.host(hostId);
    if (lease?.epoch !== epoch || host === undefined) return false;
    this.book.prolong(host, lease);
    return true;
  }

  /** With its turn it is the host's own wish, else an operator's; `access` is whose, for the audit record. */
  withdraw(hostId: string, turn?: Turn, access?: Access): WithdrawOutcome {
    this.lapse();
    const held = this.parts.tables.host(hostId);
    const refused = turn === undefined ? undefined : refuseTurn(this.parts, hostId, held, turn);
    if (refused !== undefined) return refused;
    if (held === undefined) return { kind: "not-held" };
    const change = this.change((draft) => this.removeHost(draft, hostId, access));
    // Not before the tables have it: leases roll back with nothing, and a host without one would never lapse.
    this.book.end(hostId, turn);
    this.announce(change);
    return { kind: "withdrawn" };
  }

  releaseName(name: Name, access?: Access): ReleaseOutcome {
    this.lapse();
    const { tables } = this.parts;
    const hold = tables.hold(name);
    const outcome = judgeRelease(tables, name, hold);
    if (outcome.kind !== "released" || hold === undefined) return outcome;
    const release = (draft: Draft) => {
      // As if its time were up.
      tables.putHold({ ...hold, until: draft.now });
      unsettle(draft, name);
      if (access !== undefined) draft.entries.push(() => entryOfRelease(access, name, hold.owner, draft.now));
    };
    this.announce(this.change(release));
    return outcome;
  }

  /**
   * Removes the hosts whose lease ran out, and ends what was kept long enough. Of very many hosts it removes some: nothing is answered for
   * the others either, and they still stand in lists. Returns when to call again, in milliseconds of the clock, which is at once for the
   * rest; undefined when there is nothing to wait for.
   */
  lapse(): number | undefined {
    const now = this.parts.now();
    const { tables, leases } = this.parts;
    this.nextHoldEnd ??= tables.nextHoldEnd() ?? Number.POSITIVE_INFINITY;
    if (now >= Math.min(leases.soonest(), this.nextHoldEnd)) this.lapseDue(now);
    const next = Math.min(leases.soonest(), this.nextHoldEnd);
    return Number.isFinite(next) ? next : undefined;
  }

  /** For a start on tables that outlived their leases: what they hold was live, so every host gets one fresh lease to renew in. */
  resume(): void {
    this.book.grantFresh(this.parts.tables.hosts().map(({ hostId }) => hostId));
  }

  /** For a start on tables that were settled under other settings, such as another zone. Looks at every claim once. */
  settleAnew(): void {
    this.parts.zone.forgetAll();
    const names = outdatedNames(this.parts);
    if (names.size === 0) return;
    this.apply((draft) => {
      for (const name of names) unsettle(draft, name);
    });
  }

  /** For what a store changes besides, such as by a backup: one step with all that follows from it. */
  apply(step: (draft: Draft) => void): void {
    this.announce(this.change(step));
  }

  read(owner: string): ZoneView {
    this.lapseIfPossible();
    const { zone, tables } = this.parts;
    const entry = this.livingEntry(owner);
    const counters = tables.counters();
    if (entry === undefined) return { ...counters, exists: zone.hasBelow(owner), rrsets: [], additional: [] };
    return { ...counters, exists: true, ...this.book.withTtlsLeft(entry) };
  }

  /** Seconds until the host's lease lapses, rounded up; 0 when it has none. */
  leaseRemaining(hostId: string): number {
    return leaseRemaining(this.parts, hostId);
  }

  /** Whoever's turn it is has the lease from here on, also when there is nothing to write. */
  private carryOut(plan: Plan | TurnOutcome, access: Access): TurnOutcome {
    if ("kind" in plan) return plan;
    const change = this.write(plan, access);
    this.book.prolong(plan.host, { ...plan.turn, goodUntil: access.expiresAt });
    const reply = replyTo(this.parts.tables, plan.host.hostId);
    if (change !== undefined) this.announce(change);
    return { kind: "accepted", reply };
  }

  private write({ writes, host, held, declared, known }: Plan, access: Access): Change | undefined {
    if (writes === "epoch" && held !== undefined) return this.raiseEpoch(held, host.epoch, access);
    if (writes === "record") return this.replaceRecord(host, access);
    if (declared === undefined) return undefined;
    const { zone } = this.parts.settings;
    const bindings = declared.bindings.map((binding) => asGranted(binding, host, zone));
    const claims = Map.groupBy(bindings, ({ name }) => name);
    const before = known ?? this.parts.tables.claimsOfHost(host.hostId);
    return this.change((draft) => {
      const effect = replaceHost(draft, host.hostId, host, before, claims);
      const { hostId, hostLabel } = host;
      const refused = () => this.parts.tables.refusalsOf(hostId);
      draft.entries.push(() =>
        entryOfPush(access, { hostId, hostLabel, ...effect, refused: refused() }, draft.now),
      );
    });
  }

  private replaceRecord(host: HostRecord, access: Access): Change {
    const known = this.parts.tables.claimsOfHost(host.hostId);
    const claims = new Map(known.map(({ name, bindings }) => [name, bindings]));
    return this.change((draft) => {
      draft.entries.push(() => entryOfTurn(access, host, `lease is ${host.lease} s now`, draft.now));
      replaceHost(draft, host.hostId, host, known, claims);
    });
  }

  /** No revision: nothing that anybody is shown or answered follows from an epoch, but whoever speaks for the host in the old one must stop. */
  private raiseEpoch(held: HostRecord, epoch: number, access: Access): Change {
    const { tables, audit, now } = this.parts;
    tables.transaction(() => {
      tables.putHost({ ...held, epoch });
      audit?.recordChange(entryOfTurn(access, held, `another process, epoch ${epoch}`, Math.floor(now())));
    });
    return { revision: tables.counters().revision, names: [], hosts: [held.hostId] };
  }

  private lapseDue(now: number): void {
    const { tables } = this.parts;
    const due = this.book.due(now);
    const hostIds = this.book.firstOf(due, lapsedAtOnce);
    const change = this.removeLapsed(hostIds, tables.holdsEndingBy(now));
    this.book.raiseSoonest();
    this.restSince = hostIds.length < due.length ? now : undefined;
    this.nextHoldEnd = tables.nextHoldEnd() ?? Number.POSITIVE_INFINITY;
    if (change !== undefined) this.announce(change);
  }

  private removeLapsed(hostIds: string[], ended: Hold[]): Change | undefined {
    const step = (draft: Draft): void => {
      for (const hostId of hostIds) this.removeHost(draft, hostId);
      for (const { name } of ended) unsettle(draft, name);
    };
    const change = hostIds.length + ended.length > 0 ? this.change(step) : undefined;
    for (const hostId of hostIds) this.book.end(hostId);
    return change;
  }

  /** What stands at `owner` once hosts that were left over are removed from it: others may have it then. */
  private livingEntry(owner: string): ZoneEntry | undefined {
    const { zone } = this.parts;
    let entry = zone.entry(owner);
    if (this.restSince === undefined) return entry;
    while (entry !== undefined && this.removedOver(hostsBehind(entry))) entry = zone.entry(owner);
    return entry;
  }

  /** Of hosts that were left over, those that are among `hostIds`. True when there were some, and they are removed. */
  private removedOver(hostIds: string[]): boolean {
    if (this.restSince === undefined) return false;
    const over = hostIds.filter((hostId) => this.book.isOver(hostId));
    if (over.length === 0) return false;
    try {
      const change = this.removeLapsed(over, []);
      if (change !== undefined) this.announce(change);
      return true;
    } catch {
      // As for lapseIfPossible.
      return false;
    }
  }

  private removeHost(draft: Draft, hostId: string, access?: Access): void {
    const label = this.parts.tables.host(hostId)?.hostLabel ?? "";
    draft.entries.push(() => entryOfHostGone(access ?? null, hostId, label, draft.now));
    replaceHost(draft, hostId, undefined, this.parts.tables.claimsOfHost(hostId), new Map());
  }

  /**
   * A lapse that cannot be written (a full disk) must not take the living down with the dead: answers go on, the dead host's with TTL 0,
   * and renewals need no write. Whoever calls lapse itself learns of the fault.
   */
  private lapseIfPossible(): void {
    const sinceRest = this.parts.now() - (this.restSince ?? Number.NEGATIVE_INFINITY);
    if (sinceRest >= 0 && sinceRest < lapseRestMs) return;
    try {
      this.lapse();
    } catch {
      // Tried again with the next call; nothing was changed.
    }
  }

  private change(step: (draft: Draft) => void): Change {
    const { change, holdEnd } = applyStep(this.parts, step);
    if (this.nextHoldEnd !== undefined) this.nextHoldEnd = Math.min(this.nextHoldEnd, holdEnd);
    return change;
  }

  private announce(change: Change): void {
    this.parts.onCommitted?.(change);
  }
}
