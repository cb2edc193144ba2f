import type { AuditEntry, ChangeAction } from "../shared/audit.ts";
import type { Refusal } from "../shared/binding.ts";
import { oneLine } from "../shared/log.ts";
import { displayName, type Name } from "../shared/name.ts";
import type { TokenScope } from "../shared/tokens.ts";
import type { Access } from "./access.ts";
import type { TokenRecord } from "./token-table.ts";

/** An entry before the log gave it its id. */
export type NewAuditEntry = Omit<AuditEntry, "id">;

/** The record of changes and refusals: entries are added and never altered; the oldest are forgotten, each class by its own bound. */
export interface AuditLog {
  /** Adds the entries in this order, all or none. */
  record(entries: NewAuditEntry[]): Promise<void>;
  /** The newest `limit` entries (of those with an id below `before`), in rising order of id. */
  list(limit: number, before?: number): Promise<AuditEntry[]>;
}

/** For local stores: an entry that is there exactly when the change it tells of is. */
export interface ChangeRecorder {
  /** To be called inside the transaction that makes the change. Runs SQL statements and nothing else. */
  recordChange(entry: NewAuditEntry): void;
}

/** What a push did to the names of its host. */
export interface PushEffect {
  hostId: string;
  hostLabel: string;
  /** How many declared names came, went, or got other bindings. */
  added: number;
  removed: number;
  changed: number;
  /** All declared names that are not granted now. */
  refused: Refusal[];
}

const shownRefusals = 3;
const shownOfScope = 3;
const maxDetail = 300;
const maxTarget = 300;

/** For a push that changed the declared set or its grants; one that only prolonged the lease leaves no entry. */
export function entryOfPush(access: Access, effect: PushEffect, at: number): NewAuditEntry {
  const { hostId, hostLabel, added, removed, changed, refused } = effect;
  const counts = `${hostLabel}: +${added} -${removed} names, ${changed} changed`;
  const shown = refused.slice(0, shownRefusals).map(refusalText);
  const more = refused.length > shown.length ? `, and ${refused.length - shown.length} more` : "";
  const tail = refused.length === 0 ? "" : `; ${refused.length} refused: ${shown.join(", ")}${more}`;
  return changeEntry("push", access, hostId, counts + tail, at);
}

/** For what changes a host without its declared set: another process speaks for it, or its lease is another one. */
export function entryOfTurn(
  access: Access,
  { hostId, hostLabel }: Pick<PushEffect, "hostId" | "hostLabel">,
  detail: string,
  at: number,
): NewAuditEntry {
  return changeEntry("push", access, hostId, `${hostLabel}: ${detail}`, at);
}

/** `access` is null when the lease ran out: then nobody withdrew the host. */
export function entryOfHostGone(
  access: Access | null,
  hostId: string,
  hostLabel: string,
  at: number,
): NewAuditEntry {
  return changeEntry(access === null ? "lapse" : "withdraw", access, hostId, hostLabel, at);
}

export function entryOfRelease(access: Access, name: Name, owner: string, at: number): NewAuditEntry {
  return changeEntry("release", access, displayName(name), `was held for ${owner}`, at);
}

export function entryOfTokenCreated(access: Access, token: TokenRecord): NewAuditEntry {
  const until =
    token.expiresAt === null ? "until revoked" : `until ${new Date(token.expiresAt).toISOString()}`;
  return changeEntry(
    "token-create",
    access,
    token.id,
    `${token.kind} of ${token.owner}, ${until}${scopeText(token.scope)}`,
    token.createdAt,
  );
}

export function entryOfTokenRevoked(access: Access, token: TokenRecord, at: number): NewAuditEntry {
  return changeEntry("token-revoke", access, token.id, `${token.kind} of ${token.owner}`, at);
}

/** A copy of the registry that was taken or put back; `detail` says which. */
export function entryOfCopy(
  action: "backup" | "restore",
  access: Access,
  detail: string,
  at: number,
): NewAuditEntry {
  return changeEntry(action, access, "registry", detail, at);
}

export function actorOf({ tokenId, kind, owner }: Access): AuditEntry["actor"] {
  return { tokenId, kind, owner };
}

/** Keeps an entry small and on one line, whatever the name or message in it was. */
export function bounded(entry: NewAuditEntry): NewAuditEntry {
  return { ...entry, target: cut(entry.target, maxTarget), detail: cut(entry.detail, maxDetail) };
}

function changeEntry(
  action: ChangeAction,
  access: Access | null,
  target: string,
  detail: string,
  at: number,
): NewAuditEntry {
  const actor = access === null ? null : actorOf(access);
  return bounded({ at, actor, action, target, outcome: "done", code: null, detail, count: 1 });
}

/** Of lists the first few and how many there are: the rest is in the list of tokens. */
function scopeText({ names, hosts, maxBindings, maxLease }: TokenScope): string {
  const parts = [
    listText("names", names),
    listText("hosts", hosts),
    maxBindings === null ? "" : `; ${maxBindings} bindings`,
    maxLease === null ? "" : `; lease ${maxLease} s`,
  ];
  return parts.join("");
}

function listText(what: string, all: string[]): string {
  if (all.length === 0) return "";
  const more = all.length > shownOfScope ? ` and ${all.length - shownOfScope} more` : "";
  return `; ${what} ${all.slice(0, shownOfScope).map(shortened).join(", ")}${more}`;
}

/** A host id would leave no room for the others. */
function shortened(text: string): string {
  return cut(text, 24);
}

function refusalText({ name, code, holder }: Refusal): string {
  const why = holder === undefined ? code : `${code} by ${holder.owner} on ${holder.hostLabel}`;
  return `${displayName(name)} (${why})`;
}

function cut(text: string, length: number): string {
  const line = oneLine(text);
  return line.length > length ? `${line.slice(0, length - 3)}...` : line;
}
