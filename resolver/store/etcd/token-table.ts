import { BerthError } from "../../../shared/errors.ts";
import type { AuditLog } from "../../audit.ts";
import { byAge, type TokenRecord, type TokenTable } from "../../token-table.ts";
import type { EtcdGateway } from "./gateway.ts";
import { mirrorLimitMs } from "./host-writer.ts";
import { encode, type Keys } from "./layout.ts";
import type { Mirror } from "./mirror.ts";

/**
 * The created tokens in etcd, looked up in the mirror: a token one resolver revoked is refused by all of them as soon as their watch tells.
 * The audit is each resolver's own.
 */
export function createEtcdTokenTable(
  gateway: EtcdGateway,
  keys: Keys,
  mirror: Mirror,
  audit: Pick<AuditLog, "record"> = { record: async () => undefined },
): TokenTable {
  async function put(record: TokenRecord, modRevision: number): Promise<boolean> {
    const key = keys.token(record.id);
    const { succeeded, revision } = await gateway.txn({
      compare: [{ key, is: "equal", modRevision }],
      success: [{ kind: "put", key, value: encode(record) }],
    });
    if (succeeded) await mirror.until(() => mirror.revision >= revision, AbortSignal.timeout(mirrorLimitMs));
    return succeeded;
  }
  return {
    find: async (id) => mirror.tokens.get(id)?.record,
    list: async () => [...mirror.tokens.values()].map(({ record }) => record).toSorted(byAge),
    async put(record, entry) {
      if (!(await put(record, 0))) throw contested(record.id);
      await audit.record([entry]);
    },
    async revoke(id, now, entry) {
      const known = mirror.tokens.get(id);
      if (known === undefined) return false;
      if (known.record.revokedAt !== null) return true;
      if (!(await put({ ...known.record, revokedAt: now }, known.modRevision))) throw contested(id);
      await audit.record([entry]);
      return true;
    },
  };
}

function contested(id: string): BerthError {
  const message = `another resolver changed token ${id} at the same moment; try again`;
  return new BerthError("store-unavailable", message, { who: "etcd", retryable: true });
}
