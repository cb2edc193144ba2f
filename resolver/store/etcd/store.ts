import type { Delta, Push, PushReply, Renewal, Turn } from "../../../shared/binding.ts";
import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { Name } from "../../../shared/name.ts";
import type { Access } from "../../access.ts";
import { applyStep, effectOf } from "../../apply.ts";
import { unsettle } from "../../draft.ts";
import { LeaseBook } from "../../lease-book.ts";
import {
  grantOf,
  judgeRelease,
  type Plan,
  planDelta,
  planPush,
  planRenewal,
  refuseTurn,
  replyTo,
} from "../../plan.ts";
import type { Hold } from "../../records.ts";
import type { Registry, RegistryParts } from "../../registry.ts";
import type { BindingStore, ReleaseOutcome, TurnOutcome, WithdrawOutcome } from "../../store.ts";
import { listHosts, listNames, listServices } from "../../views.ts";
import type { ZoneView } from "../../zone/zone.ts";
import type { CarriedLeases } from "./carried-leases.ts";
import type { DeedRecord } from "./deed-record.ts";
import type { EtcdGateway } from "./gateway.ts";
import type { HoldKeeper } from "./hold-keeper.ts";
import { HostQueue } from "./host-queue.ts";
import { continueHost, removeHost, type WriterParts, writeHost } from "./host-writer.ts";
import { Janitor } from "./janitor.ts";
import type { Keys } from "./layout.ts";
import type { Mirror } from "./mirror.ts";
import type { Pulse } from "./pulse.ts";
import { contested, guarded, unavailable } from "./unavailable.ts";

export interface EtcdStoreParts {
  gateway: EtcdGateway;
  keys: Keys;
  mirror: Mirror;
  leases: CarriedLeases;
  registry: Registry;
  registryParts: RegistryParts;
  holds: HoldKeeper;
  /** Of the tables: those whose time is up. */
  holdsEndingBy: (now: number) => Hold[];
  pulse: Pick<Pulse, "isAway">;
  carrier: string;
  deeds: DeedRecord;
  /** Milliseconds that pass whatever is done to the registry's clock. */
  steadyNow: () => number;
  log: Log;
}

/** Another resolver wrote the same host in between: that often it is looked at anew. */
const maxAttempts = 5;
/** It is swept every second: after so long without, this process stood still, and its hosts could not renew. */
const standstillMs = 5000;

/**
 * BindingStore on etcd: a turn is judged by the mirror, written to etcd on condition that the mirror was right, and answered once the
 * mirror shows it. So every resolver of the cluster can be asked for everything. Writes reject with `store-unavailable` while etcd does not
 * answer; reads go on from memory, marked stale.
 */
export class EtcdStore implements BindingStore {
  readonly #parts: EtcdStoreParts;
  readonly #book: LeaseBook;
  readonly #queue = new HostQueue();
  readonly #janitor: Janitor;
  #sweeping: Promise<void> | undefined;
  #sweptAt: number;

  constructor(parts: EtcdStoreParts) {
    this.#parts = parts;
    this.#janitor = new Janitor(parts);
    this.#sweptAt = parts.steadyNow();
    this.#book = new LeaseBook(parts.registryParts);
  }

  push(hostId: string, push: Push, access: Access): Promise<TurnOutcome> {
    return this.#carryOut(hostId, access, () => planPush(this.#judged, hostId, push, access));
  }

  pushDelta(hostId: string, delta: Delta, access: Access): Promise<TurnOutcome> {
    return this.#carryOut(hostId, access, () => planDelta(this.#judged, hostId, delta, access));
  }

  renew(hostId: string, renewal: Renewal, access: Access): Promise<TurnOutcome> {
    return this.#carryOut(hostId, access, () => planRenewal(this.#judged, hostId, renewal, access));
  }

  withdraw(hostId: string, turn?: Turn, access?: Access): Promise<WithdrawOutcome> {
    return this.#inTurn(hostId, async () => {
      const { leases, deeds } = this.#parts;
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const held = this.#judged.tables.host(hostId);
        const refused = turn === undefined ? undefined : refuseTurn(this.#judged, hostId, held, turn);
        if (refused !== undefined) return refused;
        if (held === undefined) return { kind: "not-held" };
        if (!(await removeHost(this.#writer, hostId))) continue;
        if (turn !== undefined) leases.set(hostId, { expiresAt: 0, ...turn });
        leases.end(hostId);
        await deeds.hostGone(access ?? null, hostId, held.hostLabel);
        await this.#janitor.tidyIfPossible();
        return { kind: "withdrawn" };
      }
      throw contested("a host");
    });
  }

  async hosts() {
    return listHosts(this.#parts.registry, this.#judged.tables);
  }

  async services(names?: Name[]) {
    return listServices(this.#parts.registry, this.#judged.tables, this.#judged.settings.zone, names);
  }

  async names() {
    return listNames(this.#parts.registry, this.#judged.tables);
  }

  async releaseName(name: Name, access?: Access): Promise<ReleaseOutcome> {
    this.#refuseWhileAway();
    const { holds, deeds } = this.#parts;
    return guarded(async () => {
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const hold = this.#judged.tables.hold(name);
        const outcome = judgeRelease(this.#judged.tables, name, hold);
        if (outcome.kind !== "released" || hold === undefined) return outcome;
        if (!(await holds.free(name))) continue;
        if (access !== undefined) await deeds.release(access, name, hold.owner);
        await this.#janitor.tidyIfPossible();
        return outcome;
      }
      throw contested("a name");
    });
  }

  /** What the host was granted, for whoever speaks for it in that epoch. */
  grantOf(hostId: string, epoch: number): PushReply | undefined {
    return grantOf(this.#judged.tables, hostId, epoch);
  }

  read(owner: string): ZoneView {
    const view = this.#parts.registry.read(owner);
    return this.#parts.pulse.isAway ? { ...view, stale: true } : view;
  }

  /**
   * A link's ping: the lease is prolonged here at once and in etcd right after. Throws while etcd does not answer: this resolver may be the
   * only one that is cut off, and who stays with it is lost to the others. False: another one, or a push, has to say how it goes on.
   */
  touch(hostId: string, epoch: number): boolean {
    const { registry, log } = this.#parts;
    this.#refuseWhileAway();
    this.#spareAfterStandstill();
    // Another resolver's to judge: an HTTP renewal takes it over.
    if (!this.#isCarried(hostId) || !registry.touch(hostId, epoch)) return false;
    this.#keepAlive(hostId).catch((fault: unknown) =>
      log.debug(`cannot renew the lease of ${hostId}: ${describeFault(fault)}`),
    );
    return true;
  }

  /**
   * Ends the leases that ran out of the hosts this resolver carries, and brings holds to what follows. To be called every second; a call
   * during another one joins it.
   */
  sweep(): Promise<void> {
    this.#spareAfterStandstill();
    this.#sweptAt = this.#parts.steadyNow();
    if (this.#parts.pulse.isAway) return Promise.resolve();
    this.#sweeping ??= guarded(() => this.#sweepOnce()).finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  async #sweepOnce(): Promise<void> {
    const { leases, holdsEndingBy } = this.#parts;
    const ended = holdsEndingBy(this.#judged.now());
    if (ended.length > 0) {
      applyStep(this.#judged, (draft) => {
        for (const { name } of ended) unsettle(draft, name);
      });
    }
    for (const hostId of leases.dueBy(this.#judged.now())) await this.#lapse(hostId);
    await this.#janitor.tidy();
  }

  /** Nobody was heard meanwhile, in time or not. Who does not come now either lapses one lease later, by etcd at the latest. */
  #spareAfterStandstill(): void {
    const { steadyNow, leases } = this.#parts;
    if (steadyNow() - this.#sweptAt <= standstillMs) return;
    this.#sweptAt = steadyNow();
    leases.grantFresh();
  }

  /** A request that is under way came in time: it decides. */
  async #lapse(hostId: string): Promise<void> {
    const { leases, deeds } = this.#parts;
    if (this.#queue.isBusy(hostId)) return;
    await this.#queue.run(hostId, async () => {
      // Others were ended before it, and it may have renewed meanwhile.
      if (!this.#book.isOver(hostId)) return;
      const label = this.#judged.tables.host(hostId)?.hostLabel ?? "";
      if (!(await removeHost(this.#writer, hostId))) return;
      leases.end(hostId);
      await deeds.hostGone(null, hostId, label);
    });
  }

  get #judged(): RegistryParts {
    return this.#parts.registryParts;
  }

  get #writer(): WriterParts {
    const { gateway, keys, mirror, registryParts, holds, carrier } = this.#parts;
    const marked = (revision: number) => this.#janitor.recordLapses(revision);
    return { gateway, keys, mirror, registry: registryParts, holds, carrier, marked };
  }

  #carryOut(hostId: string, access: Access, judge: () => Plan | TurnOutcome): Promise<TurnOutcome> {
    return this.#inTurn(hostId, async () => {
      const { deeds } = this.#parts;
      const { tables } = this.#judged;
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const plan = judge();
        if ("kind" in plan) return plan;
        const before = plan.writes === "set" ? tables.claimsOfHost(hostId) : [];
        if (!(await this.#write(plan))) continue;
        this.#book.prolong(plan.host, { ...plan.turn, goodUntil: access.expiresAt });
        await this.#janitor.tidyIfPossible();
        const reply = replyTo(tables, hostId);
        if (plan.writes === "set") {
          const effect = effectOf(before, tables.claimsOfHost(hostId));
          await deeds.push(access, { hostId, hostLabel: reply.hostLabel, ...effect, refused: reply.refused });
        }
        return { kind: "accepted", reply };
      }
      throw contested("a host");
    });
  }

  /** False when it has to be judged anew: the host is another one by now, or gone. */
  async #write(plan: Plan): Promise<boolean> {
    const isDone = await this.#writeLeast(plan);
    return isDone && this.#judged.tables.host(plan.host.hostId) !== undefined;
  }

  #writeLeast(plan: Plan): Promise<boolean> {
    const { hostId } = plan.host;
    const staysAsItIs = plan.writes === "nothing" || plan.writes === "epoch";
    if (!staysAsItIs || !this.#parts.mirror.hosts.isWhole(hostId)) return writeHost(this.#writer, plan);
    if (plan.writes === "nothing" && this.#isCarried(hostId)) return this.#keepAlive(hostId);
    return continueHost(this.#writer, plan);
  }

  #isCarried(hostId: string): boolean {
    return this.#parts.mirror.hosts.turns.get(hostId)?.carrier === this.#parts.carrier;
  }

  /** False when etcd's lease is over: the mirror then shows the host gone, or on another one. */
  async #keepAlive(hostId: string): Promise<boolean> {
    const { gateway, mirror } = this.#parts;
    const leaseId = mirror.hosts.heads.get(hostId)?.leaseId;
    if (leaseId === undefined) return false;
    const isOn = () => mirror.hosts.heads.get(hostId)?.leaseId === leaseId;
    if ((await gateway.keepLeaseAlive(leaseId)) !== undefined) return isOn();
    await mirror.until(() => !isOn());
    return false;
  }

  async #inTurn<T>(hostId: string, step: () => Promise<T>): Promise<T> {
    this.#refuseWhileAway();
    return this.#queue.run(hostId, () => {
      // Those that waited behind one that met the outage need not each find it out.
      this.#refuseWhileAway();
      return guarded(step);
    });
  }

  #refuseWhileAway(): void {
    if (this.#parts.pulse.isAway) throw unavailable();
  }
}
