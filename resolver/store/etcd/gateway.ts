import { BerthError } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import { createMembers, type Members } from "./members.ts";
import type { Credentials } from "./tokens.ts";
import { createTransport, type TlsFiles } from "./transport.ts";
import { type WatchListener, watchMembers } from "./watch.ts";
import {
  type Compare,
  encodeCompare,
  encodeOperation,
  encodeRange,
  type Item,
  integer,
  itemFromWire,
  type KeyRange,
  type Operation,
  type OperationReply,
  repliesFromTxn,
  type WireLease,
  type WireRange,
  type WireTxn,
} from "./wire.ts";

export interface EtcdGatewayOptions extends Credentials, TlsFiles {
  /** The members' client URLs, http or https, all of one cluster. The first is asked first. */
  urls: string[];
  /** For one request at one member. */
  timeoutMs: number;
  /** How often a watched member has to show that it is not cut off; `timeoutMs` when it is not given. */
  probeEveryMs?: number;
  log: Log;
}

export interface RangeOptions {
  /** The state as of this revision; the present one when it is not given. */
  revision?: number;
  /** At most so many items. */
  limit?: number;
  /** Items asked for at once. The default keeps replies near 1 MiB when values have up to 64 KiB; small values may come in larger pages. */
  pageSize?: number;
  /** Whatever one member holds, which may be old, even while there is no leader. Else the read sees every write acknowledged before it. */
  serializable?: boolean;
}

export interface Txn {
  /** All must hold for `success` to be carried out; else `failure` is. */
  compare?: Compare[];
  success: Operation[];
  failure?: Operation[];
}

export interface TxnReply {
  succeeded: boolean;
  revision: number;
  /** Of the branch that was carried out. */
  replies: OperationReply[];
}

/**
 * etcd 3.4 to 3.6 through its JSON gateway. All rejections are BerthErrors: `etcd-unavailable` (no member could be asked), `etcd-uncertain` (a
 * transaction may have been carried out), `etcd-full`, all three retryable; `etcd-untrusted` (certificates), `etcd-auth`, `etcd-compacted`,
 * `etcd-lease-gone`, `etcd-refused` (etcd will never do that), which are not.
 */
export interface EtcdGateway {
  /** Items by key, in order, all as of the one revision that is told, in however many pages. */
  range(keys: KeyRange, options?: RangeOptions): Promise<{ revision: number; items: Item[] }>;
  /** One atomic change, never repeated once a member may have seen it. At most 128 operations a branch, unless etcd is told otherwise. */
  txn(txn: Txn): Promise<TxnReply>;
  /** etcd may grant longer than asked for. With an `id` of one's own (a positive decimal number) a second grant is refused. */
  grantLease(ttlSeconds: number, id?: string): Promise<{ lease: string; ttlSeconds: number }>;
  /** Renews it to its whole length: the seconds it has now, or undefined when it is gone. */
  keepLeaseAlive(lease: string): Promise<number | undefined>;
  /** Deletes its keys with it. One that is gone already is as good. */
  revokeLease(lease: string): Promise<void>;
  /** Every event on these keys from `fromRevision` (1 or more) on: see watchMembers for what it promises. Resolves when the signal aborts, or on `close`. */
  watch(keys: KeyRange, fromRevision: number, listener: WatchListener): Promise<void>;
  /** Of the member that is asked first. */
  status(): Promise<{ version: string; databaseBytes: number; hasLeader: boolean }>;
  /** Ends the watches and the connections. Requests still under way fail. */
  close(): void;
}

const defaultPageSize = 16;

export function createEtcdGateway(options: EtcdGatewayOptions): EtcdGateway {
  const { timeoutMs, probeEveryMs = timeoutMs, log } = options;
  checkUrls(options.urls);
  const transport = createTransport(tlsOf(options));
  const members = createMembers(transport, options);
  const closed = new AbortController();
  return {
    range: (keys, rangeOptions = {}) => readRange(members, keys, rangeOptions),
    txn: (txn) => commit(members, txn),
    ...leasesOf(members),
    watch(keys, fromRevision, listener) {
      const signal = AbortSignal.any([listener.signal, closed.signal]);
      // Not a copy: a listener may be an object with methods.
      const own: WatchListener = {
        onEvents: (revision, events) => listener.onEvents(revision, events),
        onProgress: (revision) => listener.onProgress?.(revision),
        signal,
      };
      return watchMembers(members, keys, fromRevision, own, { probeEveryMs, log });
    },
    async status() {
      const request = { path: "/v3/maintenance/status", body: {}, isRepeatable: true, isLocal: true };
      const status = (await members.call(request)) as { version?: string; dbSize?: string; leader?: string };
      const hasLeader = (status.leader ?? "0") !== "0";
      return { version: status.version ?? "", databaseBytes: integer(status.dbSize), hasLeader };
    },
    close() {
      closed.abort();
      transport.close();
    },
  };
}

async function readRange(members: Members, keys: KeyRange, options: RangeOptions) {
  const { limit = Number.POSITIVE_INFINITY, pageSize = defaultPageSize, serializable = false } = options;
  const whole = encodeRange(keys);
  const items: Item[] = [];
  let { revision } = options;
  let from = whole.key;
  for (;;) {
    const body = {
      ...whole,
      key: from,
      limit: `${Math.min(pageSize, limit - items.length)}`,
      revision: `${revision ?? 0}`,
      serializable,
    };
    const request = { path: "/v3/kv/range", body, isRepeatable: true, isLocal: serializable };
    const page = (await members.call(request)) as WireRange;
    // The later pages are read as of the first one's revision.
    revision ??= integer(page.header?.revision);
    items.push(...(page.kvs ?? []).map(itemFromWire));
    const last = items.at(-1);
    if (page.more !== true || last === undefined || items.length >= limit) return { revision, items };
    from = encodeRange({ key: `${last.key}\0` }).key;
  }
}

async function commit(members: Members, { compare = [], success, failure = [] }: Txn): Promise<TxnReply> {
  const body = {
    compare: compare.map(encodeCompare),
    success: success.map(encodeOperation),
    failure: failure.map(encodeOperation),
  };
  const reply = (await members.call({ path: "/v3/kv/txn", body, isRepeatable: false })) as WireTxn;
  return {
    succeeded: reply.succeeded ?? false,
    revision: integer(reply.header?.revision),
    replies: repliesFromTxn(reply),
  };
}

function leasesOf(members: Members): Pick<EtcdGateway, "grantLease" | "keepLeaseAlive" | "revokeLease"> {
  return {
    async grantLease(ttlSeconds, id) {
      const body = { TTL: `${ttlSeconds}`, ...(id === undefined ? {} : { ID: id }) };
      // A lease that is granted without our knowing has no keys and lapses; one with an id would look like somebody else's.
      const request = { path: "/v3/lease/grant", body, isRepeatable: id === undefined };
      const granted = (await members.call(request)) as WireLease;
      return { lease: granted.ID ?? "", ttlSeconds: integer(granted.TTL) };
    },
    async keepLeaseAlive(lease) {
      const request = { path: "/v3/lease/keepalive", body: { ID: lease }, isRepeatable: true };
      const reply = (await members.call(request)) as { result?: WireLease };
      if (reply.result === undefined)
        throw new BerthError("etcd-refused", "etcd answered a keep-alive with nothing");
      const left = integer(reply.result.TTL);
      return left > 0 ? left : undefined;
    },
    async revokeLease(lease) {
      const request = { path: "/v3/lease/revoke", body: { ID: lease }, isRepeatable: true };
      await members.call(request).catch((fault: unknown) => {
        if (!(fault instanceof BerthError && fault.code === "etcd-lease-gone")) throw fault;
      });
    },
  };
}

function checkUrls(urls: string[]): void {
  const wrong = urls.find((url) => !/^https?:\/\/[^/?#@]+\/?$/.test(url));
  if (urls.length > 0 && wrong === undefined) return;
  const what = wrong === undefined ? "no URL of etcd" : `"${wrong}" is no URL of etcd`;
  throw new BerthError(
    "etcd-refused",
    `${what}: give its members' client URLs, such as https://10.0.0.1:2379`,
  );
}

function tlsOf({ ca, cert, key }: TlsFiles): TlsFiles {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}
