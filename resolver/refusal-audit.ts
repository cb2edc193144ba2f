import { BerthError } from "../shared/errors.ts";
import type { Access } from "./access.ts";
import { type AuditLog, actorOf, bounded, type NewAuditEntry } from "./audit.ts";

/** A request that was turned away, as far as it may be written down. */
export interface RefusedRequest {
  method: string;
  /** The pattern of the route, never the path: that can hold a token. */
  route: string;
  params: Readonly<Record<string, string>>;
  /** Of the token it carried, when that was a valid one. */
  access: Access | undefined;
}

const signInCodes = new Set(["unknown-token", "token-expired", "token-revoked", "bad-signature"]);
/** Somebody who is known tried what is not theirs. Other faults are mistakes, which the reply tells to whom they concern. */
const requestCodes = new Set(["token-not-allowed", "host-not-allowed", "local-host-refused", "superseded"]);
const knownMethods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Undefined for a fault that says nothing about who may do what. */
export function entryOfRefusal(
  fault: unknown,
  request: RefusedRequest,
  at: number,
): NewAuditEntry | undefined {
  if (!(fault instanceof BerthError)) return undefined;
  const isSignIn = signInCodes.has(fault.code);
  if (!isSignIn && !requestCodes.has(fault.code)) return undefined;
  return bounded({
    at,
    actor: request.access === undefined ? null : actorOf(request.access),
    action: isSignIn ? "sign-in" : "request",
    target: targetOf(fault, request),
    outcome: "refused",
    code: fault.code,
    detail: fault.message,
    count: 1,
  });
}

/**
 * Adds refusals up, so that a flood of them is some 30 rows a second at most: those of one actor, code and target between two flushes
 * are one entry, and past the first `maxDistinct` different ones the rest are one entry as well. Memory is bounded likewise.
 */
export class RefusalAudit {
  private readonly log: Pick<AuditLog, "record">;
  private readonly maxDistinct: number;
  private pending = new Map<string, NewAuditEntry>();
  private flushedAt = Number.NEGATIVE_INFINITY;

  constructor(log: Pick<AuditLog, "record">, maxDistinct = 32) {
    this.log = log;
    this.maxDistinct = maxDistinct;
  }

  note(entry: NewAuditEntry): void {
    if (this.add(entry)) return;
    if (this.pending.size < this.maxDistinct) this.pending.set(keyOf(entry), { ...entry });
    else this.noteAmongOthers(entry);
  }

  /** Hands what was noted to the log. What the log refuses stays noted; the fault is the caller's to report. */
  async flush(): Promise<void> {
    if (this.pending.size === 0) return;
    const taken = this.pending;
    this.pending = new Map();
    try {
      await this.log.record([...taken.values()]);
    } catch (fault) {
      const since = this.pending;
      this.pending = taken;
      for (const entry of since.values()) this.note(entry);
      throw fault;
    }
  }

  /** For a runtime without timers between requests: flushes when a second has passed since it last did. */
  async flushDue(now: number): Promise<void> {
    if (this.pending.size === 0 || now - this.flushedAt < 1000) return;
    this.flushedAt = now;
    await this.flush();
  }

  private noteAmongOthers(entry: NewAuditEntry): void {
    const among = { ...entry, ...othersFields };
    if (!this.add(among)) this.pending.set(keyOf(among), among);
  }

  private add(entry: NewAuditEntry): boolean {
    const known = this.pending.get(keyOf(entry));
    if (known === undefined) return false;
    known.count += entry.count;
    return true;
  }
}

function keyOf({ actor, code, target }: NewAuditEntry): string {
  return JSON.stringify([actor?.tokenId ?? null, code, target]);
}

const othersFields = {
  actor: null,
  action: "request",
  target: "others",
  code: null,
  detail: "refused within the same second, too many different ones to tell apart",
} as const;

/** Which token, where it was a valid one once; else the request. What is not a host id or a token id stays a pattern: it may be anything. */
function targetOf(fault: BerthError, { method, route, params, access }: RefusedRequest): string {
  if (fault.code === "token-expired" || fault.code === "token-revoked") return fault.who;
  const verb = knownMethods.has(method) ? method : "OTHER";
  // Nobody without a valid token gets to make up targets: there would be as many as they like.
  if (access === undefined) return `${verb} ${route}`;
  const filled = route.replace(/:(hostId|id)\b/g, (pattern, name: string) => {
    const value = params[name] ?? "";
    return /^([a-z2-7]{52}|[a-z2-7]{10})$/.test(value) ? value : pattern;
  });
  return `${verb} ${filled}`;
}
