import { describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { TokenView } from "../shared/tokens.ts";
import type { AuditLog, NewAuditEntry } from "./audit.ts";

/** A created token as it is kept: the hex SHA-256 of its text, never the text. */
export interface TokenRecord extends TokenView {
  hash: string;
}

/**
 * The tokens an admin created. With each change goes the entry that tells of it, so that a store with transactions can write both or
 * neither. A token that expired is remembered for 30 days, so that its user is told what happened to it; one that was revoked before
 * its end for as long as it would have lived, lest a backup from before bring it back.
 */
export interface TokenTable {
  /** Also of one that expired or was revoked: that is for the caller to judge. */
  find(id: string): Promise<TokenRecord | undefined>;
  /** Sorted by age, the oldest first. */
  list(): Promise<TokenRecord[]>;
  /** Adds a token. Its id is new: 50 bits of chance. */
  put(record: TokenRecord, entry: NewAuditEntry): Promise<void>;
  /**
   * False when there is no token of that id. Once it is resolved, `find` shows the token revoked, and whoever watches was told. Of a
   * token revoked before, the first moment stays, and no second entry is written.
   */
  revoke(id: string, now: number, entry: NewAuditEntry): Promise<boolean>;
}

const rememberedMs = 30 * 24 * 60 * 60 * 1000;

/** Whether a token expired so long ago that it can leave the table. */
export function isForgotten({ expiresAt }: TokenRecord, now: number): boolean {
  return expiresAt !== null && now - expiresAt > rememberedMs;
}

/** The order of lists. */
export function byAge(a: TokenRecord, b: TokenRecord): number {
  return a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);
}

/** Tells whoever keeps a connection open for a token that it was revoked. That a token expires is in its Access already. */
export class TokenWatch {
  private readonly listeners = new Set<(id: string) => void>();
  private readonly log: Log;

  constructor(log: Log) {
    this.log = log;
  }

  /** Returns what ends the watch. */
  onRevoked(listener: (id: string) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** A listener that fails keeps no other from hearing of it. */
  announce(id: string): void {
    for (const listener of [...this.listeners]) {
      try {
        listener(id);
      } catch (fault) {
        this.log.error(`cannot end what token ${id} holds open: ${describeFault(fault)}`);
      }
    }
  }
}

/** A table that lasts as long as the process: for tests and the memory store. */
export function createMemoryTokenTable(audit: Pick<AuditLog, "record">, watch?: TokenWatch): TokenTable {
  const records = new Map<string, TokenRecord>();
  return {
    find: async (id) => records.get(id),
    list: async () => [...records.values()].toSorted(byAge),
    async put(record, entry) {
      for (const old of records.values()) if (isForgotten(old, record.createdAt)) records.delete(old.id);
      records.set(record.id, record);
      await audit.record([entry]);
    },
    async revoke(id, now, entry) {
      const record = records.get(id);
      if (record === undefined) return false;
      if (record.revokedAt !== null) return true;
      records.set(id, { ...record, revokedAt: now });
      watch?.announce(id);
      await audit.record([entry]);
      return true;
    },
  };
}
