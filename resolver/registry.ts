import type { Binding, Declared, Push, PushReply, Renewal } from "../shared/binding.ts";
import { BerthError } from "../shared/errors.ts";
import { labelsOf, maxLabelLength, maxNameLength, type Name, nameBelow, parentOf } from "../shared/name.ts";
import { defaultNameServer, hostsApex } from "../shared/reserved.ts";
import { compileAll, replaceHost, settleAnew } from "./apply.ts";
import { grantHostLabel } from "./grants.ts";
import {
  grantLease,
  judgePush,
  judgeRenewal,
  type LeaseLimits,
  standardLeaseLimits,
  type Turn,
} from "./leases.ts";
import type { HostRecord, RRset } from "./records.ts";
import type { TurnOutcome } from "./store.ts";
import type { Leases, Tables } from "./tables.ts";
import type { CompileRules } from "./zone/compile.ts";
import type { Zone, ZoneView } from "./zone/zone.ts";

export interface RegistrySettings extends CompileRules {
  nameServers: Name[];
  leaseLimits: LeaseLimits;
}

/** Throws a BerthError `bad-config` for a zone whose own name is so long that hosts' names do not fit below it. */
export function standardSettings(zone: Name): RegistrySettings {
  // The longest name a host gets has two whole labels before `addr` and `host`.
  const longest = maxNameLength - 2 * (maxLabelLength + 1) - "addr.host.".length;
  if (zone.length > longest) {
    const message = `the zone's name has ${zone.length - 1} characters; hosts' names fit below ${longest - 1} at most`;
    throw new BerthError("bad-config", message);
  }
  const nameServers = [defaultNameServer(zone)];
  return { zone, nameServers, ttl: 5, ephemeralTtl: 1, leaseLimits: standardLeaseLimits };
}

export interface RegistryParts {
  tables: Tables;
  leases: Leases;
  zone: Zone;
  settings: RegistrySettings;
  /** Milliseconds since 1970; where the runtime has one, from a clock that does not step: leases are counted on it. */
  now: () => number;
  /** A lapse more than this many milliseconds late means our clockwork stood still, not the hosts: they get one more lease. */
  overdueGrace?: number;
  /** Called inside the transaction with the owner names whose entries changed. */
  onChanged?: (owners: Name[]) => void;
}

/**
 * The rules of the registry over whatever keeps its tables: whose turn it is, what is granted, when it lapses. Synchronous, so that one
 * push is one step and no reader sees half of it.
 */
export class Registry {
  private readonly parts: RegistryParts;
  /** No lease runs out before this moment; spares looking at every lease for every query. */
  private nextLapse = 0;

  constructor(parts: RegistryParts) {
    this.parts = parts;
  }

  push(hostId: string, push: Push): TurnOutcome {
    this.lapse();
    const held = this.parts.tables.host(hostId);
    const verdict = judgePush(held, this.lastSequence(hostId), push);
    if (held !== undefined && verdict === "superseded") return this.superseded(held);
    const lease = grantLease(push.lease, this.parts.settings.leaseLimits);
    if (held !== undefined && verdict === "unchanged") return this.keep(held, push, lease);
    const host = this.hostFrom(hostId, push, lease, held);
    const claims = this.claimsFrom(host, push.declared);
    this.change(() => replaceHost(this.parts, hostId, host, claims));
    this.prolong(host, push.sequence);
    return this.accepted(hostId);
  }

  renew(hostId: string, renewal: Renewal): TurnOutcome {
    this.lapseIfPossible();
    const held = this.parts.tables.host(hostId);
    const verdict = judgeRenewal(held, this.lastSequence(hostId), renewal);
    if (held === undefined || verdict === "unknown-digest") return { kind: "unknown-digest" };
    if (verdict === "superseded") return this.superseded(held);
    return this.keep(held, renewal, grantLease(renewal.lease, this.parts.settings.leaseLimits));
  }

  withdraw(hostId: string): boolean {
    this.lapse();
    if (this.parts.tables.host(hostId) === undefined) return false;
    this.remove([hostId]);
    return true;
  }

  /** Removes the hosts whose lease ran out. Returns when to call again, in milliseconds of the clock; undefined when no lease runs. */
  lapse(): number | undefined {
    const now = this.parts.now();
    if (now >= this.nextLapse) {
      const due = [...this.parts.leases.entries()].filter(([, lease]) => lease.expiresAt <= now);
      const earliest = Math.min(...due.map(([, lease]) => lease.expiresAt));
      const stoodStill = now - earliest > (this.parts.overdueGrace ?? Number.POSITIVE_INFINITY);
      if (stoodStill) this.grantFreshLeases(due.map(([hostId]) => hostId));
      else if (due.length > 0) this.remove(due.map(([hostId]) => hostId));
      const running = [...this.parts.leases.entries()].map(([, lease]) => lease.expiresAt);
      this.nextLapse = Math.min(Number.POSITIVE_INFINITY, ...running);
    }
    return Number.isFinite(this.nextLapse) ? this.nextLapse : undefined;
  }

  /** For a start on tables that outlived their zone: what they hold was live, so every host gets one fresh lease to renew in. */
  resume(): void {
    this.parts.tables.transaction(() => settleAnew(this.parts));
    compileAll(this.parts);
    this.grantFreshLeases(this.parts.tables.hosts().map((host) => host.hostId));
  }

  read(owner: string): ZoneView {
    this.lapseIfPossible();
    const { zone, tables } = this.parts;
    const { serial } = tables.counters();
    const entry = zone.entry(owner);
    if (entry === undefined) return { serial, exists: zone.hasBelow(owner), rrsets: [], additional: [] };
    const rrsets = entry.rrsets.map((rrset) => this.withTtlLeft(rrset));
    const additional = entry.additional.map(({ owner: target, rrset }) => {
      return { owner: target, rrset: this.withTtlLeft(rrset) };
    });
    return { serial, exists: true, rrsets, additional };
  }

  /**
   * A lapse that cannot be written (a full disk) must not take the living down with the dead: answers go on, the dead host's with TTL 0,
   * and renewals need no write. Whoever calls lapse itself learns of the fault.
   */
  private lapseIfPossible(): void {
    try {
      this.lapse();
    } catch {
      // Tried again with the next call; nothing was changed.
    }
  }

  /** Seconds until the host's lease lapses, rounded up; 0 when it has none. */
  leaseRemaining(hostId: string): number {
    const left = (this.parts.leases.get(hostId)?.expiresAt ?? 0) - this.parts.now();
    return Math.max(0, Math.ceil(left / 1000));
  }

  /** Lowered only when less is left of a lease, and rounded down, so that no cache keeps an answer past it. */
  private withTtlLeft(rrset: RRset): RRset {
    const now = this.parts.now();
    const left = rrset.hosts.map((hostId) => (this.parts.leases.get(hostId)?.expiresAt ?? now) - now);
    return { ...rrset, ttl: Math.max(0, Math.min(rrset.ttl, ...left.map((ms) => Math.floor(ms / 1000)))) };
  }

  private lastSequence(hostId: string): number {
    return this.parts.leases.get(hostId)?.sequence ?? 0;
  }

  private superseded(held: HostRecord): TurnOutcome {
    const leaseRemaining = this.leaseRemaining(held.hostId);
    return { kind: "superseded", heldEpoch: held.epoch, leaseRemaining };
  }

  /** Prolongs the lease of an unchanged set. The record is written only when a new process or another lease length asks for it. */
  private keep(held: HostRecord, turn: Turn, lease: number): TurnOutcome {
    const host = { ...held, epoch: turn.epoch, lease };
    this.change(() => {
      if (lease !== held.lease) replaceHost(this.parts, held.hostId, host, this.heldClaims(held.hostId));
      else if (turn.epoch !== held.epoch) this.parts.tables.putHost(host);
    });
    this.prolong(host, turn.sequence);
    return this.accepted(held.hostId);
  }

  private heldClaims(hostId: string): Map<Name, Binding[]> {
    return new Map(this.parts.tables.claimsOfHost(hostId).map((claim) => [claim.name, claim.bindings]));
  }

  private accepted(hostId: string): TurnOutcome {
    const { tables } = this.parts;
    const host = tables.host(hostId);
    const reply: PushReply = {
      lease: host?.lease ?? 0,
      revision: tables.counters().revision,
      grantsRevision: host?.grantsRevision ?? 0,
      hostLabel: host?.hostLabel ?? "",
      refused: tables.refusalsOf(hostId),
    };
    return { kind: "accepted", reply };
  }

  private grantFreshLeases(hostIds: string[]): void {
    for (const hostId of hostIds) {
      const host = this.parts.tables.host(hostId);
      if (host !== undefined) this.prolong(host, this.lastSequence(hostId));
    }
  }

  private prolong(host: HostRecord, sequence: number): void {
    const expiresAt = this.parts.now() + host.lease * 1000;
    this.parts.leases.set(host.hostId, { expiresAt, sequence });
    this.nextLapse = Math.min(this.nextLapse, expiresAt);
  }

  private remove(hostIds: string[]): void {
    this.change(() => {
      for (const hostId of hostIds) replaceHost(this.parts, hostId, undefined, new Map());
    });
    // Not before the tables have it: leases roll back with nothing, and a host without one would never lapse.
    for (const hostId of hostIds) this.parts.leases.delete(hostId);
  }

  /** A write that failed must leave no trace in the zone either. Compiling it anew costs time, but a disk that fails is rare. */
  private change(step: () => void): void {
    try {
      this.parts.tables.transaction(step);
    } catch (fault) {
      compileAll(this.parts);
      throw fault;
    }
  }

  private hostFrom(hostId: string, push: Push, lease: number, held: HostRecord | undefined): HostRecord {
    const { hostLabel: declaredLabel, addresses, local, problems, bindings } = push.declared;
    const { epoch, digest } = push;
    const keepsLabel = held !== undefined && held.declaredLabel === declaredLabel;
    const isTaken = (label: string) => this.parts.tables.isLabelTaken(label, hostId);
    const hostLabel = keepsLabel ? held.hostLabel : grantHostLabel(declaredLabel, hostId, isTaken);
    const grantsRevision = held?.grantsRevision ?? 0;
    const said = { addresses, local, problems, bindings: bindings.length };
    return { hostId, epoch, digest, lease, grantsRevision, declaredLabel, hostLabel, ...said };
  }

  /** The declared bindings by the name they will stand at. */
  private claimsFrom(host: HostRecord, declared: Declared): Map<Name, Binding[]> {
    const bindings = declared.bindings.map((binding) => this.withGrantedLabel(host, binding));
    return Map.groupBy(bindings, (binding) => binding.name);
  }

  /** `<container>.<declared label>.host.<zone>` becomes `<container>.<granted label>.host.<zone>`. */
  private withGrantedLabel(host: HostRecord, binding: Binding): Binding {
    if (binding.rule !== "host" || host.hostLabel === host.declaredLabel) return binding;
    const apex = hostsApex(this.parts.settings.zone);
    if (parentOf(binding.name) !== nameBelow(host.declaredLabel, apex)) return binding;
    const container = labelsOf(binding.name)[0] ?? "";
    return { ...binding, name: nameBelow(container, nameBelow(host.hostLabel, apex)) };
  }
}
