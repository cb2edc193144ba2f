import { DurableObject } from "cloudflare:workers";

import type { Push, Renewal } from "../../shared/binding.ts";
import { createLog } from "../../shared/log.ts";
import { parseName } from "../../shared/name.ts";
import type { HostList, ServiceList } from "../../shared/registry-views.ts";
import { Registry, standardSettings } from "../registry.ts";
import type { TurnOutcome } from "../store.ts";
import { listHosts, listServices } from "../views.ts";
import type { Env } from "../worker.ts";
import type { ZoneView } from "../zone/zone.ts";
import { Publication } from "./publication.ts";
import { migrate, objectSteps, registrySteps } from "./schema.ts";
import type { Sql } from "./sql.ts";
import { createSqlLeases } from "./sql-leases.ts";
import { createSqlTables } from "./sql-tables.ts";
import { createSqlZone } from "./sql-zone.ts";

/** An alarm later than this was held up by the platform, not by the hosts. */
const overdueGraceMs = 5000;
const publishRetryMs = 1000;

/** The one writer of a zone on Workers: BindingStore's methods as RPC, lapses by alarm, and the copy in Workers KV kept after it. */
export class RegistryObject extends DurableObject<Env> {
  private readonly tables;
  private readonly registry: Registry;
  private readonly publication: Publication;

  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    const sql = sqlOver(state.storage);
    const steps = registrySteps.map((step, index) => [...step, ...(objectSteps[index] ?? [])]);
    migrate(sql, "the registry object", steps);
    const zone = createSqlZone(sql);
    const log = createLog("registry", "info", (line) => console.log(line));
    this.tables = createSqlTables(sql);
    this.publication = new Publication(sql, zone, env.ZONE, log);
    this.registry = new Registry({
      tables: this.tables,
      leases: createSqlLeases(sql),
      zone,
      settings: standardSettings(parseName(env.BERTH_ZONE)),
      now: Date.now,
      overdueGrace: overdueGraceMs,
      onChanged: (owners) => this.publication.note(owners, this.tables.counters().revision),
    });
  }

  async push(hostId: string, push: Push): Promise<TurnOutcome> {
    const outcome = this.registry.push(hostId, push);
    await this.setAlarm();
    return outcome;
  }

  async renew(hostId: string, renewal: Renewal): Promise<TurnOutcome> {
    const outcome = this.registry.renew(hostId, renewal);
    await this.setAlarm();
    return outcome;
  }

  async withdraw(hostId: string): Promise<boolean> {
    const wasThere = this.registry.withdraw(hostId);
    await this.setAlarm();
    return wasThere;
  }

  async hosts(): Promise<HostList> {
    return listHosts(this.registry, this.tables);
  }

  async services(): Promise<ServiceList> {
    return listServices(this.registry, this.tables, parseName(this.env.BERTH_ZONE));
  }

  async read(owner: string): Promise<ZoneView> {
    const view = this.registry.read(owner);
    // A read can be what notices a lapse; its names have to leave the copy as well.
    await this.setAlarm();
    return view;
  }

  override async alarm(): Promise<void> {
    this.registry.lapse();
    await this.publication.publish(this.tables.counters().serial);
    await this.setAlarm(publishRetryMs);
  }

  /** The next lapse, or the copy's arrears. An alarm already set for an earlier moment stays: it costs no write and finds nothing due. */
  private async setAlarm(publishDelayMs = 0): Promise<void> {
    const nextLapse = this.registry.lapse() ?? Number.POSITIVE_INFINITY;
    const nextPublish = this.publication.isPending() ? Date.now() + publishDelayMs : Number.POSITIVE_INFINITY;
    const at = Math.min(nextLapse, nextPublish);
    if (!Number.isFinite(at)) return;
    const set = await this.ctx.storage.getAlarm();
    if (set === null || set > at) await this.ctx.storage.setAlarm(at);
  }
}

function sqlOver(storage: DurableObjectStorage): Sql {
  return {
    run: (query, ...params) => void storage.sql.exec(query, ...params),
    all: (query, ...params) => storage.sql.exec(query, ...params).toArray(),
    transaction: (change) => storage.transactionSync(change),
  };
}
