import { standardSettings } from "../../resolver/settings.ts";
import { counters, zone } from "../../resolver/store/contract/builders.ts";
import { createEtcdGateway, type EtcdGateway, type Txn } from "../../resolver/store/etcd/gateway.ts";
import { type EtcdStoreOptions, type OpenEtcdStore, openEtcdStore } from "../../resolver/store/etcd/open.ts";
import type { EtcdStore } from "../../resolver/store/etcd/store.ts";
import { TokenWatch } from "../../resolver/token-table.ts";
import { BerthError } from "../../shared/errors.ts";
import { createLog } from "../../shared/log.ts";
import type { EtcdCluster } from "../testbed/etcd.ts";
import { until } from "../testbed/wait.ts";

/** One resolver as far as its registry goes: its store on the real clock, swept every second, behind a gateway that can be made to fail. */
export type EtcdResolver = OpenEtcdStore & {
  store: EtcdStore;
  /** Everything it logged. */
  lines: string[];
  /** Transactions it sent. */
  txns: Txn[];
  /** Ids of tokens whose revocation it announced. */
  announced: string[];
  faults: Faults;
  /** Ends it as a crash would: its connections break, and nothing is said to anybody. */
  crash(): Promise<void>;
};

export type Faults = {
  /** Called before each transaction is sent; what it throws stands for what etcd did. */
  beforeTxn?: ((txn: Txn) => void | Promise<void>) | undefined;
  /** Called before a lease is asked for. */
  beforeLease?: (() => Promise<void>) | undefined;
  /** Called after etcd carried one out. */
  afterTxn?: ((txn: Txn) => void) | undefined;
  /** This resolver alone does not reach etcd. */
  isCut?: boolean;
  /** Called before everything below the prefix is read. */
  beforeRange?: ((revision: number | undefined) => void | Promise<void>) | undefined;
  /** While it is set the watch sees nothing. */
  blind?: Promise<void> | undefined;
  /** Breaks the watch that runs, so that `blind` is noticed. */
  breakWatch?: () => void;
};

export type ResolverOptions = Partial<EtcdStoreOptions> & {
  /** The member asked first. */
  first?: number;
  timeoutMs?: number;
  /** Those it starts with. */
  faults?: Faults;
};

const sweepMs = 500;

export async function openResolver(
  cluster: EtcdCluster,
  root: string,
  options: ResolverOptions = {},
): Promise<EtcdResolver> {
  const { first = 0, timeoutMs = 3000, faults = {}, ...over } = options;
  const lines: string[] = [];
  const announced: string[] = [];
  const txns: Txn[] = [];
  const log = createLog("resolver", "debug", (line) => lines.push(line));
  const watch = new TokenWatch(log);
  watch.onRevoked((id) => announced.push(id));
  const urls = [...cluster.urls.slice(first), ...cluster.urls.slice(0, first)];
  const gateway = createEtcdGateway({ urls, timeoutMs, probeEveryMs: 1000, log });
  const now = () => performance.timeOrigin + performance.now();
  const settings = standardSettings(zone);
  const faulty = withFaults(gateway, faults, txns);
  const opened = await openEtcdStore(faulty, { settings, now, root, watch, log, ...over });
  const timer = setInterval(() => {
    opened.store.sweep().catch((fault: unknown) => lines.push(`sweep: ${fault}`));
  }, sweepMs);
  const close = async () => {
    clearInterval(timer);
    await opened.close();
  };
  return { ...opened, lines, txns, announced, faults, close, crash: close };
}

function withFaults(gateway: EtcdGateway, faults: Faults, txns: Txn[]): EtcdGateway {
  const check = () => {
    if (faults.isCut) throw new BerthError("etcd-unavailable", "it is cut off", { retryable: true });
  };
  return {
    ...gateway,
    async range(keys, options) {
      check();
      await faults.beforeRange?.(options?.revision);
      return gateway.range(keys, options);
    },
    async keepLeaseAlive(lease) {
      check();
      return gateway.keepLeaseAlive(lease);
    },
    async txn(txn) {
      check();
      await faults.beforeTxn?.(txn);
      txns.push(txn);
      const reply = await gateway.txn(txn);
      faults.afterTxn?.(txn);
      return reply;
    },
    async grantLease(seconds, id) {
      check();
      await faults.beforeLease?.();
      return gateway.grantLease(seconds, id);
    },
    async watch(keys, fromRevision, listener) {
      let from = fromRevision;
      while (!listener.signal.aborted) {
        await faults.blind;
        const broken = new AbortController();
        faults.breakWatch = () => broken.abort();
        await gateway.watch(keys, from, {
          signal: AbortSignal.any([listener.signal, broken.signal]),
          async onEvents(revision, events) {
            if (broken.signal.aborted) return;
            await listener.onEvents(revision, events);
            from = revision + 1;
          },
          onProgress: (revision) => listener.onProgress?.(revision),
        });
      }
    },
  };
}

/** From now on the resolver's watch tells nothing, as if its member hung. Returns what ends that. */
export function blind({ faults }: EtcdResolver): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  faults.blind = promise;
  faults.breakWatch?.();
  return () => {
    faults.blind = undefined;
    resolve();
  };
}

/** All that lists and answers follow from. */
export async function viewOf({ store, tokenTable }: EtcdResolver): Promise<object> {
  const { hosts } = await store.hosts();
  return {
    ...(await counters(store)),
    services: (await store.services()).services,
    names: (await store.names()).names,
    hosts: hosts.map(({ leaseRemaining: _, ...host }) => host),
    tokens: await tokenTable.list(),
  };
}

/** Waits until all show the same, and returns it. */
export async function agreed(...resolvers: EtcdResolver[]): Promise<string> {
  const views: string[] = [];
  const isSame = async () => {
    views.splice(
      0,
      views.length,
      ...(await Promise.all(resolvers.map(viewOf))).map((view) => JSON.stringify(view)),
    );
    return new Set(views).size === 1;
  };
  try {
    await until("all resolvers show the same", isSame, { timeoutMs: 20_000 });
  } catch (cause) {
    throw new Error(`they differ:\n${views.join("\n")}`, { cause });
  }
  return views[0] ?? "";
}
