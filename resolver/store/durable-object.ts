import { DurableObject } from "cloudflare:workers";

import type { AuditEntry } from "../../shared/audit.ts";
import type { Delta, Push, Renewal, Turn } from "../../shared/binding.ts";
import { changesPath } from "../../shared/changes.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import { createLog, type Log } from "../../shared/log.ts";
import { type Name, parseName } from "../../shared/name.ts";
import type { HostList, NameList, ServiceList } from "../../shared/registry-views.ts";
import { type Access, bootstrapAccess } from "../access.ts";
import type { AuditLog, ChangeRecorder, NewAuditEntry } from "../audit.ts";
import type { ChangeLog } from "../change-log.ts";
import type { Change } from "../changes.ts";
import { grantOf } from "../plan.ts";
import { Registry } from "../registry.ts";
import type { LinkRequest } from "../routes/link.ts";
import { standardSettings } from "../settings.ts";
import type { BindingStore, ReleaseOutcome, TurnOutcome, WithdrawOutcome } from "../store.ts";
import { type TokenRecord, TokenWatch } from "../token-table.ts";
import { accessOf, unknownToken } from "../tokens.ts";
import { createObjectFeed } from "../worker/object-feed.ts";
import { ObjectLapses } from "../worker/object-lapses.ts";
import { ObjectLinks } from "../worker/object-links.ts";
import { sqlOver } from "../worker/object-sql.ts";
import { decodeAsked, linkPath, type RefusedLink } from "../worker/registry-client.ts";
import type { Env } from "../worker.ts";
import { createZone } from "../zone/compiled-zone.ts";
import type { ZoneView } from "../zone/zone.ts";
import { createLinkedLeases, type LinkedLeases } from "./linked-leases.ts";
import { storeOver } from "./memory.ts";
import { makeGeneration, sha256Hex } from "./node-crypto.ts";
import { Publication } from "./publication.ts";
import { migrate, objectSteps, registrySteps } from "./schema.ts";
import { settleUnder } from "./settled.ts";
import { createSqlAudit } from "./sql-audit.ts";
import { createStoredChanges } from "./sql-changes.ts";
import { createSqlLeases } from "./sql-leases.ts";
import { createSqlTables } from "./sql-tables.ts";
import { createSqlTokenTable, type SqlTokenTable } from "./sql-token-table.ts";

/** An alarm later than this was held up by the platform, not by the hosts. */
const overdueGraceMs = 5000;
/** Leases and tokens behind links are looked at no more often, however they end; but what is left of a mass lapse at once. */
const betweenSweepsMs = 1000;
/** Writing the copy may hold up the next sweep no longer; it goes on meanwhile. */
const publishWaitMs = 1000;

/**
 * The one writer of a zone on Workers: BindingStore's methods, tokens and the audit record as RPC; links and the change feed by fetch;
 * lapses by alarm; and the copy in Workers KV kept after it all. It forgets its memory whenever nobody asks for a while.
 */
export class RegistryObject extends DurableObject<Env> implements BindingStore {
  /** Rows read and written since the object woke up: what the platform bills. */
  readonly rows = { read: 0, written: 0 };
  private readonly log: Log;
  private readonly tables;
  private readonly leases: LinkedLeases;
  private readonly registry: Registry;
  private readonly store: BindingStore;
  private readonly tokens: SqlTokenTable;
  private readonly audit: AuditLog & ChangeRecorder;
  private readonly publication: Publication;
  private readonly lapses: ObjectLapses;
  private readonly links: ObjectLinks;
  private readonly watch: TokenWatch;
  private readonly changes;
  private changeLog: ChangeLog | undefined;
  private feed: ReturnType<typeof createObjectFeed> | undefined;
  private generation: string;
  private sweptAt = Number.NEGATIVE_INFINITY;

  // Over 40 lines, because the parts refer to one another and fields that are read-only can be set nowhere else. It decides nothing.
  constructor(state: DurableObjectState, env: Env) {
    super(state, env);
    const sql = sqlOver(state.storage, this.rows);
    const steps = registrySteps.map((step, index) => [...step, ...(objectSteps[index] ?? [])]);
    migrate(sql, "the registry object", steps, Date.now());
    const settings = standardSettings(parseName(env.BERTH_ZONE));
    this.log = createLog("registry", "info", (line) => console.log(line));
    const tables = createSqlTables(sql);
    this.tables = tables;
    const stored = createSqlLeases(sql, makeGeneration);
    this.links = new ObjectLinks({
      sockets: state,
      grantFor: ({ hostId, epoch, generation }) =>
        generation === stored.generation() ? grantOf(tables, hostId, epoch) : undefined,
      settle: (sign) => this.leases.settle(sign),
      now: Date.now,
      log: this.log,
    });
    this.leases = createLinkedLeases(stored, (hostId) => this.links.signs(hostId));
    this.generation = stored.generation();
    this.audit = createSqlAudit(sql);
    this.watch = new TokenWatch(this.log);
    this.watch.onRevoked((tokenId) => this.links.closeToken(tokenId));
    this.tokens = createSqlTokenTable(sql, this.audit, this.watch);
    this.changes = createStoredChanges(sql);
    const zone = createZone(tables, settings);
    const counters = () => tables.counters();
    this.publication = new Publication({ sql, zone, copy: env.ZONE, counters, now: Date.now, log: this.log });
    this.registry = new Registry({
      tables,
      leases: this.leases,
      zone,
      settings,
      now: Date.now,
      digest: sha256Hex,
      overdueGrace: overdueGraceMs,
      observeOwners: (owners) => this.publication.note(owners, tables.counters().revision),
      audit: this.audit,
      onCommitted: (change) => this.committed(change),
    });
    this.lapses = new ObjectLapses({ registry: this.registry, now: Date.now, log: this.log });
    this.store = storeOver(this.registry, tables, settings);
    settleUnder(sql, this.registry, settings);
    // Those of a life that is over, such as one whose storage was lost.
    this.links.endOthersThan(this.generation);
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

  async findToken(id: string): Promise<TokenRecord | undefined> {
    return this.tokens.find(id);
  }

  async listTokens(): Promise<TokenRecord[]> {
    return this.tokens.list();
  }

  async putToken(record: TokenRecord, entry: NewAuditEntry): Promise<void> {
    return this.tokens.put(record, entry);
  }

  /** Its links are closed with it. */
  revokeToken(id: string, now: number, entry: NewAuditEntry): Promise<boolean> {
    return this.thenSetAlarm(this.tokens.revoke(id, now, entry));
  }

  async recordAudit(entries: NewAuditEntry[]): Promise<void> {
    return this.audit.record(entries);
  }

  async listAudit(limit: number, before?: number): Promise<AuditEntry[]> {
    return this.audit.list(limit, before);
  }

  /** Only the Worker can reach this, and it has judged token and signature. */
  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === linkPath) return this.openLink(decodeAsked<LinkRequest>(request));
    if (pathname === changesPath) return this.openFeed(request, decodeAsked<Access>(request));
    return new Response(null, { status: 404 });
  }

  override async alarm(): Promise<void> {
    this.sweptAt = Date.now();
    this.closeExpired();
    await this.lapses.removeDue();
    await atMost(publishWaitMs, this.publication.publish());
    await this.setAlarm();
  }

  override webSocketMessage(socket: WebSocket): Promise<void> {
    return this.thenSetAlarm(this.links.heard(socket));
  }

  override webSocketClose(socket: WebSocket): Promise<void> {
    return this.thenSetAlarm(this.links.closed(socket));
  }

  override webSocketError(socket: WebSocket): Promise<void> {
    return this.thenSetAlarm(this.links.closed(socket));
  }

  private async openLink(asked: LinkRequest): Promise<Response> {
    try {
      return await this.thenSetAlarm(this.judgeLink(asked));
    } catch (fault) {
      if (!(fault instanceof BerthError)) throw fault;
      // As data, because a fault loses what it is on the way to the Worker.
      const { code, message, who, retryable } = fault;
      return Response.json({ kind: "refused", code, message, who, retryable } satisfies RefusedLink);
    }
  }

  /** Token and turn are judged, and the link is opened, in one step: neither a revocation nor anybody's turn comes in between. */
  private judgeLink({ hostId, renewal, access }: LinkRequest): Response {
    this.checkToken(access);
    const outcome = this.registry.renew(hostId, renewal, access);
    if (outcome.kind !== "accepted") return Response.json(outcome);
    const { tokenId, expiresAt } = access;
    const { epoch, generation } = renewal;
    const { lease } = outcome.reply;
    const expiry = expiresAt === undefined ? {} : { expiresAt };
    const webSocket = this.links.open({ hostId, epoch, generation, tokenId, lease, ...expiry });
    return new Response(null, { status: 101, webSocket });
  }

  /** The Worker asked for it an exchange ago. Bootstrap tokens are the Worker's alone. */
  private checkToken({ tokenId, kind }: Access): void {
    if (tokenId === bootstrapAccess(kind).tokenId) return;
    const record = this.tokens.findNow(tokenId);
    if (record === undefined) throw unknownToken();
    accessOf(record, Date.now());
  }

  private openFeed(request: Request, access: Access): Response | Promise<Response> {
    this.changeLog ??= this.changes.load(this.leases.generation(), this.tables.counters().revision);
    this.feed ??= createObjectFeed({
      changes: this.changeLog,
      services: (names) => this.services(names),
      watch: this.watch,
      log: this.log,
    });
    return this.feed(request, access);
  }

  /** In the same breath as the change: the platform writes both or neither. */
  private committed(change: Change): void {
    this.changes.note(change);
    const generation = this.leases.generation();
    if (this.changeLog?.generation === generation) this.changeLog.note(change);
    else this.changeLog?.restart(generation, change.revision);
    if (this.generation !== generation) this.links.endOthersThan(generation);
    this.generation = generation;
    this.links.hostsChanged(change.hosts);
  }

  /** After every call, reads too: each can be what notices a lapse, and its names have to leave the copy as well. */
  private async thenSetAlarm<T>(done: T | Promise<T>): Promise<T> {
    const result = await done;
    await this.setAlarm();
    return result;
  }

  /** The next lapse or end of a hold or of a token behind a link, or the copy's arrears. An alarm already set for an earlier moment stays: it costs no write and finds nothing due. */
  private async setAlarm(): Promise<void> {
    const nextEnd = Math.min(this.nextLapse(), this.links.nextExpiry());
    const nextSweep = this.lapses.hasRest ? Date.now() : Math.max(nextEnd, this.sweptAt + betweenSweepsMs);
    const at = Math.min(nextSweep, this.publication.dueAt());
    if (!Number.isFinite(at)) return;
    const set = await this.ctx.storage.getAlarm();
    if (set === null || set > at) await this.ctx.storage.setAlarm(at);
  }

  /** No step more while the alarm has one to take anyway. */
  private nextLapse(): number {
    return this.lapses.hasRest ? Date.now() : this.lapses.next();
  }

  private closeExpired(): void {
    try {
      this.links.closeExpired();
    } catch (fault) {
      this.log.error(`cannot end links: ${describeFault(fault)}`);
    }
  }
}

async function atMost(ms: number, work: Promise<void>): Promise<void> {
  const { promise: isOver, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, isOver]);
  clearTimeout(timer);
}
