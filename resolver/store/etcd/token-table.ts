import type { AuditLog, NewAuditEntry } from "../../audit.ts";
import { byAge, isForgotten, type TokenRecord, type TokenTable } from "../../token-table.ts";
import type { EtcdGateway } from "./gateway.ts";
import { batchSize, type Keys } from "./layout.ts";
import type { Mirror } from "./mirror.ts";
import { contested, guarded } from "./unavailable.ts";
import { encode } from "./values.ts";
import type { Operation } from "./wire.ts";

export interface TokenTableParts {
  gateway: EtcdGateway;
  keys: Keys;
  mirror: Mirror;
  audit: Pick<AuditLog, "record">;
  /** Throws at once while etcd does not answer. */
  refuseWhileAway: () => void;
}

const maxAttempts = 5;

/**
 * The created tokens in etcd, looked up in the mirror: a token one resolver revoked is refused by all of them as soon as their watch tells.
 * The audit is each resolver's own.
 */
export function createEtcdTokenTable(parts: TokenTableParts): TokenTable {
  const { gateway, keys, mirror, audit, refuseWhileAway } = parts;

  /** False when the token is another one than the mirror says. */
  async function write(
    record: TokenRecord,
    entry: NewAuditEntry,
    besides: Operation[] = [],
  ): Promise<boolean> {
    const key = keys.token(record.id);
    const modRevision = mirror.tokens.get(record.id)?.modRevision ?? 0;
    const change = {
      compare: [{ key, is: "equal" as const, modRevision }],
      success: [{ kind: "put" as const, key, value: encode(record) }, ...besides],
    };
    const { succeeded, revision } = await guarded(() => gateway.txn(change));
    // It is done, whether or not our own watch tells of it in time.
    if (succeeded) await audit.record([entry]);
    const isOutdated = () => (mirror.tokens.get(record.id)?.modRevision ?? 0) !== modRevision;
    await guarded(() => mirror.until(succeeded ? () => mirror.revision >= revision : isOutdated));
    return succeeded;
  }

  function removalsBefore(now: number): Operation[] {
    const forgotten = [...mirror.tokens.values()].filter(({ record }) => isForgotten(record, now));
    return forgotten.slice(0, batchSize - 1).map(({ record }) => {
      return { kind: "delete", keys: { key: keys.token(record.id) } };
    });
  }

  return {
    find: async (id) => mirror.tokens.get(id)?.record,
    list: async () => [...mirror.tokens.values()].map(({ record }) => record).toSorted(byAge),
    async put(record, entry) {
      refuseWhileAway();
      const isDone = await write(record, entry, removalsBefore(record.createdAt));
      if (!isDone) throw contested(`token ${record.id}`);
    },
    async revoke(id, now, entry) {
      refuseWhileAway();
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const known = mirror.tokens.get(id)?.record;
        if (known === undefined) return false;
        if (known.revokedAt !== null) return true;
        if (await write({ ...known, revokedAt: now }, entry)) return true;
      }
      throw contested(`token ${id}`);
    },
  };
}
