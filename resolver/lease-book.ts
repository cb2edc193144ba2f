import type { Lease } from "./leases.ts";
import { lastTurn } from "./plan.ts";
import type { HostRecord, RRset, ZoneEntry } from "./records.ts";
import type { RegistryParts } from "./registry.ts";
import type { TurnTaken } from "./turns.ts";

/** The leases and last turns of hosts, as the registry's clock has them. */
export class LeaseBook {
  private readonly parts: RegistryParts;
  /** When the leases that are over were asked for last. */
  private lookedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: RegistryParts) {
    this.parts = parts;
  }

  /** By the lease granted, and as `grantLease` has it no longer than the token is good. */
  prolong({ hostId, lease }: HostRecord, turn: TurnTaken & Pick<Lease, "goodUntil">): void {
    const { leases, settings, now } = this.parts;
    const { epoch, sequence, goodUntil = Number.POSITIVE_INFINITY } = turn;
    const at = now();
    const end = Math.max(goodUntil, at + settings.leaseLimits.lowest * 1000);
    const expiresAt = Math.min(at + lease * 1000, end);
    leases.set(hostId, { expiresAt, epoch, sequence, goodUntil: turn.goodUntil });
  }

  /** The lease while it runs. */
  running(hostId: string): Lease | undefined {
    const lease = this.parts.leases.get(hostId);
    return lease !== undefined && lease.expiresAt > this.parts.now() ? lease : undefined;
  }

  /** The entry's RRsets with TTLs lowered, only when less is left of a lease, and rounded down: no cache keeps an answer past it. */
  withTtlsLeft({ rrsets, additional }: ZoneEntry): Pick<ZoneEntry, "rrsets" | "additional"> {
    return {
      rrsets: rrsets.map((rrset) => this.withTtlLeft(rrset)),
      additional: additional.map(({ owner, rrset }) => ({ owner, rrset: this.withTtlLeft(rrset) })),
    };
  }

  /** Ends a host's lease; with a turn when it was the host's own request that ended it. */
  end(hostId: string, turn?: TurnTaken): void {
    const { leases } = this.parts;
    const expiresAt = leases.get(hostId)?.expiresAt ?? this.parts.now();
    // Known for good, so that nothing the host said before can be played back.
    if (turn !== undefined) leases.set(hostId, { expiresAt, epoch: turn.epoch, sequence: turn.sequence });
    leases.end(hostId);
  }

  grantFresh(hostIds: string[]): void {
    for (const hostId of hostIds) {
      const host = this.parts.tables.host(hostId);
      const last = lastTurn(this.parts, hostId, host);
      if (host !== undefined && last !== undefined) this.prolong(host, last);
    }
  }

  /**
   * Hosts whose lease is over. When some ended longer ago than the grace and nobody looked since, we stood still: those that ended since the
   * last look get one more. Who was over at that look stays over, however long the removal of so many takes.
   */
  due(now: number): string[] {
    const { leases, overdueGrace = Number.POSITIVE_INFINITY } = this.parts;
    const over = [...leases.running()].filter(([, { expiresAt }]) => expiresAt <= now);
    const { lookedAt } = this;
    this.lookedAt = now;
    const unseen = over.filter(([, { expiresAt }]) => expiresAt > lookedAt);
    if (now - earliest(unseen.map(([, lease]) => lease)) <= overdueGrace) return idsOf(over);
    this.grantFresh(idsOf(unseen));
    return idsOf(over.filter(([, { expiresAt }]) => expiresAt <= lookedAt));
  }

  /** As many of the hosts, and one at least, as have `bindings` together. */
  firstOf(hostIds: string[], bindings: number): string[] {
    let room = bindings;
    const end = hostIds.findIndex((hostId) => {
      if (room <= 0) return true;
      room -= this.parts.tables.host(hostId)?.bindings ?? 0;
      return false;
    });
    return end < 0 ? hostIds : hostIds.slice(0, end);
  }

  /** Whether the host's lease ran out, and it was not removed yet. */
  isOver(hostId: string): boolean {
    const expiresAt = this.parts.leases.get(hostId)?.expiresAt ?? 0;
    return expiresAt > 0 && expiresAt <= this.parts.now();
  }

  /** After those that are over were ended: a look at all leases is not due before the next of them is. */
  raiseSoonest(): void {
    this.parts.leases.raiseSoonest(earliest([...this.parts.leases.running()].map(([, lease]) => lease)));
  }

  private withTtlLeft(rrset: RRset): RRset {
    const left = rrset.hosts.map((hostId) => Math.floor(this.left(hostId) / 1000));
    return { ...rrset, ttl: Math.max(0, Math.min(rrset.ttl, ...left)) };
  }

  private left(hostId: string): number {
    const now = this.parts.now();
    return (this.parts.leases.get(hostId)?.expiresAt ?? now) - now;
  }
}

function idsOf(leases: [hostId: string, lease: Lease][]): string[] {
  return leases.map(([hostId]) => hostId);
}

function earliest(leases: Lease[]): number {
  return leases.reduce((least, { expiresAt }) => Math.min(least, expiresAt), Number.POSITIVE_INFINITY);
}

/** The hosts whose leases an entry stands for. */
export function hostsBehind({ rrsets, additional }: ZoneEntry): string[] {
  const all = [...rrsets, ...additional.map(({ rrset }) => rrset)];
  return [...new Set(all.flatMap(({ hosts }) => hosts))];
}
