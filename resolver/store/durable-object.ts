import { DurableObject } from "cloudflare:workers";

import type { Delta, Push, Renewal, Turn } from "../../shared/binding.ts";
import { createLog } from "../../shared/log.ts";
import { type Name, parseName } from "../../shared/name.ts";
import type { HostList, NameList, ServiceList } from "../../shared/registry-views.ts";
import type { Access } from "../access.ts";
import { Registry } from "../registry.ts";
import { standardSettings } from "../settings.ts";
import type { BindingStore, ReleaseOutcome, TurnOutcome, WithdrawOutcome } from "../store.ts";
import type { Env } from "../worker.ts";
import { createZone } from "../zone/compiled-zone.ts";
import type { ZoneView } from "../zone/zone.ts";
import { storeOver } from "./memory.ts";
import { makeGeneration, sha256Hex } from "./node-crypto.ts";
import { Publication } from "./publication.ts";
import { migrate, objectSteps, registrySteps } from "./schema.ts";
import { settleUnder } from "./settled.ts";
import type { Sql, SqlValue } from "./sql.ts";
import { createSqlLeases } from "./sql-leases.ts";
import { createSqlTables } from "./sql-tables.ts";

/** An alarm later than this was held up by the platform, not by the hosts. */
const overdueGraceMs = 5000;
const publishRetryMs = 1000;

/** The one writer of a zone on Workers: BindingStore's methods as RPC, lapses by alarm, and the copy in Workers KV kept after it. */
export class RegistryObject extends DurableObject<Env> implements BindingStore {
  /** Rows read and written since the object woke up: what the platform bills. */
  readonly rows = { read: 0, written: 0 };
  private readonly tables;
  private readonly registry: Registry;
  private readonly store: BindingStore;
  private readonly publication: Publication;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    const sql = sqlOver(state.storage, this.rows);
    const steps = registrySteps.map((step, index) => [...step, ...(objectSteps[index] ?? [])]);
    migrate(sql, "the registry object", steps, Date.now());
    const settings = standardSettings(parseName(env.BERTH_ZONE));
    const log = createLog("registry", "info", (line) => console.log(line));
    this.tables = createSqlTables(sql);
    const zone = createZone(this.tables, settings);
    this.publication = new Publication(sql, zone, env.ZONE, log);
    this.registry = new Registry({
      tables: this.tables,
      leases: createSqlLeases(sql, makeGeneration),
      zone,
      settings,
      now: Date.now,
      digest: sha256Hex,
      overdueGrace: overdueGraceMs,
      observeOwners: (owners) => this.publication.note(owners, this.tables.counters().revision),
    });
    this.store = storeOver(this.registry, this.tables, settings);
    settleUnder(sql, this.registry, settings);
  }

  push(hostId: string, push: Push, access: Access): Promise<TurnOutcome> {
    return this.thenSetAlarm(this.store.push(hostId, push, access));
  }

  pushDelta(hostId: string, delta: Delta, access: Access): Promise<TurnOutcome> {
    return this.thenSetAlarm(this.store.pushDelta(hostId, delta, access));
  }

  renew(hostId: string, renewal: Renewal, access: Access): Promise<TurnOutcome> {
    return this.thenSetAlarm(this.store.renew(hostId, renewal, access));
  }

  withdraw(hostId: string, turn?: Turn, access?: Access): Promise<WithdrawOutcome> {
    return this.thenSetAlarm(this.store.withdraw(hostId, turn, access));
  }

  hosts(): Promise<HostList> {
    return this.thenSetAlarm(this.store.hosts());
  }

  services(names?: Name[]): Promise<ServiceList> {
    return this.thenSetAlarm(this.store.services(names));
  }

  names(): Promise<NameList> {
    return this.thenSetAlarm(this.store.names());
  }

  releaseName(name: Name, access?: Access): Promise<ReleaseOutcome> {
    return this.thenSetAlarm(this.store.releaseName(name, access));
  }

  async read(owner: string): Promise<ZoneView> {
    return this.thenSetAlarm(this.store.read(owner));
  }

  override async alarm(): Promise<void> {
    this.registry.lapse();
    await this.publication.publish(this.tables.counters().serial);
    await this.setAlarm(publishRetryMs);
  }

  /** After every call, reads too: each can be what notices a lapse, and its names have to leave the copy as well. */
  private async thenSetAlarm<T>(done: T | Promise<T>): Promise<T> {
    const result = await done;
    await this.setAlarm();
    return result;
  }

  /** The next lapse or end of a hold, or the copy's arrears. An alarm already set for an earlier moment stays: it costs no write and finds nothing due. */
  private async setAlarm(publishDelayMs = 0): Promise<void> {
    const nextLapse = this.registry.lapse() ?? Number.POSITIVE_INFINITY;
    const nextPublish = this.publication.isPending() ? Date.now() + publishDelayMs : Number.POSITIVE_INFINITY;
    const at = Math.min(nextLapse, nextPublish);
    if (!Number.isFinite(at)) return;
    const set = await this.ctx.storage.getAlarm();
    if (set === null || set > at) await this.ctx.storage.setAlarm(at);
  }
}

function sqlOver(storage: DurableObjectStorage, rows: { read: number; written: number }): Sql {
  const exec = (query: string, params: SqlValue[]) => {
    const cursor = storage.sql.exec(query, ...params);
    const result = cursor.toArray();
    rows.read += cursor.rowsRead;
    rows.written += cursor.rowsWritten;
    return result;
  };
  return {
    run: (query, ...params) => void exec(query, params),
    all: (query, ...params) => exec(query, params),
    transaction: (change) => storage.transactionSync(change),
  };
}
