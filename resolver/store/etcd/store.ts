import type { Delta, Push, PushReply, Renewal, Turn } from "../../../shared/binding.ts";
import { BerthError, describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { Name } from "../../../shared/name.ts";
import type { Access } from "../../access.ts";
import { applyStep, effectOf } from "../../apply.ts";
import {
  type AuditLog,
  entryOfHostGone,
  entryOfPush,
  entryOfRelease,
  type NewAuditEntry,
} from "../../audit.ts";
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
import type { Claim, Hold } from "../../records.ts";
import type { Registry, RegistryParts } from "../../registry.ts";
import type { BindingStore, ReleaseOutcome, TurnOutcome, WithdrawOutcome } from "../../store.ts";
import { listHosts, listNames, listServices } from "../../views.ts";
import type { ZoneView } from "../../zone/zone.ts";
import type { CarriedLeases } from "./carried-leases.ts";
import type { EtcdGateway } from "./gateway.ts";
import type { HoldKeeper } from "./hold-keeper.ts";
import { mirrorLimitMs, removeHost, type WriterParts, writeHost } from "./host-writer.ts";
import type { Keys } from "./layout.ts";
import type { Mirror } from "./mirror.ts";
import type { Pulse } from "./pulse.ts";

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
  pulse: Pulse;
  carrier: string;
  audit: Pick<AuditLog, "record">;
  log: Log;
}

/** Another resolver wrote the same host in between: that often it is looked at anew. */
const maxAttempts = 5;

/**
 * BindingStore on etcd: a turn is judged by the mirror, written to etcd on condition that the mirror was right, and answered once the
 * mirror shows it. So every resolver of the cluster can be asked for everything.
 */
export class EtcdStore implements BindingStore {
  readonly #parts: EtcdStoreParts;
  readonly #book: LeaseBook;
  /** What is under way for a host; the next one waits for it. */
  readonly #busy = new Map<string, Promise<unknown>>();

  constructor(parts: EtcdStoreParts) {
    this.#parts = parts;
    this.#book = new LeaseBook(parts.registryParts);
  }

  push(hostId: string, push: Push, access: Access): Promise<TurnOutcome> {
    return this.#inTurn(hostId, () =>
      this.#carryOut(access, () => planPush(this.#judged, hostId, push, access)),
    );
  }

  pushDelta(hostId: string, delta: Delta, access: Access): Promise<TurnOutcome> {
    return this.#inTurn(hostId, () =>
      this.#carryOut(access, () => planDelta(this.#judged, hostId, delta, access)),
    );
  }

  renew(hostId: string, renewal: Renewal, access: Access): Promise<TurnOutcome> {
    return this.#inTurn(hostId, () =>
      this.#carryOut(access, () => planRenewal(this.#judged, hostId, renewal, access)),
    );
  }

  withdraw(hostId: string, turn?: Turn, access?: Access): Promise<WithdrawOutcome> {
    return this.#inTurn(hostId, async () => {
      const { registryParts, leases } = this.#parts;
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const held = registryParts.tables.host(hostId);
        const refused = turn === undefined ? undefined : refuseTurn(registryParts, hostId, held, turn);
        if (refused !== undefined) return refused;
        if (held === undefined) return { kind: "not-held" };
        if (!(await removeHost(this.#writer, hostId))) continue;
        await this.#recordGone(access ?? null, hostId, held.hostLabel);
        if (turn !== undefined) leases.set(hostId, { expiresAt: 0, ...turn });
        leases.end(hostId);
        await this.#parts.holds.flush();
        await this.#mark();
        return { kind: "withdrawn" };
      }
      throw busy(hostId);
    });
  }

  async hosts() {
    return listHosts(this.#parts.registry, this.#parts.registryParts.tables);
  }

  async services(names?: Name[]) {
    const { registry, registryParts } = this.#parts;
    return listServices(registry, registryParts.tables, registryParts.settings.zone, names);
  }

  async names() {
    return listNames(this.#parts.registry, this.#parts.registryParts.tables);
  }

  async releaseName(name: Name, access?: Access): Promise<ReleaseOutcome> {
    this.#refuseWhileAway();
    const { holds, registryParts } = this.#parts;
    const outcome = judgeRelease(registryParts.tables, name, registryParts.tables.hold(name));
    const owner = registryParts.tables.hold(name)?.owner ?? "";
    if (outcome.kind !== "released") return outcome;
    await this.#guarded(async () => {
      await holds.free(name);
      await holds.flush();
      await this.#mark();
    });
    if (access !== undefined) await this.#record(entryOfRelease(access, name, owner, this.#nowMs()));
    return outcome;
  }

  /** What the host was granted, for whoever speaks for it in that epoch. */
  grantOf(hostId: string, epoch: number): PushReply | undefined {
    return grantOf(this.#judged.tables, hostId, epoch);
  }

  read(owner: string): ZoneView {
    const view = this.#parts.registry.read(owner);
    return this.#parts.pulse.isAway ? { ...view, stale: true } : view;
  }

  /** A link's ping: the lease is prolonged here at once and in etcd as soon as it answers. */
  touch(hostId: string, epoch: number): boolean {
    const { registry, mirror, carrier, log } = this.#parts;
    const head = mirror.heads.get(hostId)?.head;
    // Another resolver's to judge: an HTTP renewal takes it over.
    if (head?.carrier !== carrier || !registry.touch(hostId, epoch)) return false;
    void this.#keepAlive(hostId).catch((fault: unknown) =>
      log.debug(`lease of ${hostId}: ${describeFault(fault)}`),
    );
    return true;
  }

  /** Ends the leases that ran out of the hosts this resolver carries, and brings holds to what follows. To be called every second. */
  async sweep(): Promise<void> {
    const { leases, registryParts, pulse, holds, holdsEndingBy } = this.#parts;
    if (pulse.isAway) return;
    const ended = holdsEndingBy(registryParts.now());
    if (ended.length > 0) {
      applyStep(registryParts, (draft) => {
        for (const { name } of ended) unsettle(draft, name);
      });
    }
    await this.#guarded(async () => {
      for (const hostId of leases.dueBy(registryParts.now())) {
        const label = registryParts.tables.host(hostId)?.hostLabel ?? "";
        if (!(await removeHost(this.#writer, hostId))) continue;
        leases.end(hostId);
        await this.#recordGone(null, hostId, label);
      }
      await holds.flush();
      await this.#mark();
    });
  }

  /** After etcd was away nobody could renew: every host carried here gets one more lease to do it in. */
  resumeLeases(): void {
    const { leases, mirror, registryParts } = this.#parts;
    for (const hostId of leases.carried()) {
      const lease = leases.get(hostId);
      const seconds = mirror.heads.get(hostId)?.head.host.lease ?? 0;
      if (lease !== undefined)
        leases.set(hostId, { ...lease, expiresAt: registryParts.now() + seconds * 1000 });
    }
  }

  get #judged(): RegistryParts {
    return this.#parts.registryParts;
  }

  get #writer(): WriterParts {
    const { gateway, keys, mirror, registryParts, holds, carrier } = this.#parts;
    return { gateway, keys, mirror, registry: registryParts, holds, carrier };
  }

  async #carryOut(access: Access, judge: () => Plan | TurnOutcome): Promise<TurnOutcome> {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const plan = judge();
      if ("kind" in plan) return plan;
      const { tables } = this.#judged;
      const before = tables.claimsOfHost(plan.host.hostId);
      if (!(await this.#write(plan))) continue;
      const { registryParts, holds } = this.#parts;
      this.#book.prolong(plan.host, plan.turn);
      await holds.flush();
      await this.#mark();
      const reply = replyTo(registryParts.tables, plan.host.hostId);
      if (plan.writes === "set") await this.#recordPush(access, plan.host.hostId, reply, before);
      return { kind: "accepted", reply };
    }
    throw busy("a host");
  }

  /** Of several resolvers that see keys go, one leaves the mark; the others find it made. */
  async #mark(): Promise<void> {
    const { gateway, keys, mirror } = this.#parts;
    if (!mirror.lacksMark) return;
    const { succeeded, revision } = await gateway.txn({
      compare: [{ key: keys.mark, is: "equal", modRevision: mirror.markRevision }],
      success: [{ kind: "put", key: keys.mark, value: "" }],
    });
    if (succeeded) await mirror.until(() => mirror.revision >= revision, AbortSignal.timeout(mirrorLimitMs));
  }

  async #recordPush(access: Access, hostId: string, reply: PushReply, before: Claim[]): Promise<void> {
    const after = this.#judged.tables.claimsOfHost(hostId);
    const effect = { hostId, hostLabel: reply.hostLabel, ...effectOf(before, after), refused: reply.refused };
    await this.#record(entryOfPush(access, effect, this.#nowMs()));
  }

  async #recordGone(access: Access | null, hostId: string, hostLabel: string): Promise<void> {
    await this.#record(entryOfHostGone(access, hostId, hostLabel, this.#nowMs()));
  }

  /** It is done by now: a record that cannot be written is no reason to say otherwise. */
  async #record(entry: NewAuditEntry): Promise<void> {
    const { audit, log } = this.#parts;
    await audit.record([entry]).catch((fault: unknown) => log.error(`audit record: ${describeFault(fault)}`));
  }

  #nowMs(): number {
    return Math.floor(this.#judged.now());
  }

  /** False when it has to be judged anew. */
  async #write(plan: Plan): Promise<boolean> {
    const { mirror, carrier } = this.#parts;
    const { hostId } = plan.host;
    const isCarried = mirror.heads.get(hostId)?.head.carrier === carrier;
    if (plan.writes === "nothing" && isCarried) return this.#keepAlive(hostId);
    return (await writeHost(this.#writer, plan)) !== undefined;
  }

  /** False when etcd's lease is over: the mirror then soon shows the host gone. */
  async #keepAlive(hostId: string): Promise<boolean> {
    const { gateway, mirror } = this.#parts;
    const known = mirror.heads.get(hostId);
    if (known === undefined) return false;
    if ((await gateway.keepLeaseAlive(known.head.leaseId)) !== undefined) return true;
    const isGone = () => mirror.heads.get(hostId)?.head.leaseId !== known.head.leaseId;
    await mirror.until(isGone, AbortSignal.timeout(mirrorLimitMs));
    return false;
  }

  #inTurn<T>(hostId: string, step: () => Promise<T>): Promise<T> {
    this.#refuseWhileAway();
    const before = this.#busy.get(hostId) ?? Promise.resolve();
    const own = before.then(() => this.#guarded(step));
    const settled = own.catch(() => undefined);
    this.#busy.set(hostId, settled);
    void settled.then(() => {
      if (this.#busy.get(hostId) === settled) this.#busy.delete(hostId);
    });
    return own;
  }

  #refuseWhileAway(): void {
    if (this.#parts.pulse.isAway) throw unavailable();
  }

  /** What etcd cannot do now is the store's to say, in words that tell an agent to try again. */
  async #guarded<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (fault) {
      const isOurs = fault instanceof BerthError && !fault.code.startsWith("etcd-");
      throw isOurs ? fault : unavailable(fault);
    }
  }
}

function unavailable(cause?: unknown): BerthError {
  const message = "etcd does not take writes now; what is known is still answered, and agents try again";
  return new BerthError("store-unavailable", message, { who: "etcd", retryable: true, cause });
}

function busy(what: string): BerthError {
  const message = `other resolvers keep writing ${what} at the same time; try again`;
  return new BerthError("store-unavailable", message, { who: "etcd", retryable: true });
}
