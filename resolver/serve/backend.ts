import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import type { PushReply } from "../../shared/binding.ts";
import { BerthError } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import type { AuditLog } from "../audit.ts";
import type { Change } from "../changes.ts";
import type { ResolverConfig } from "../config.ts";
import type { RegistrySettings } from "../settings.ts";
import { openAuditFile } from "../store/audit-file.ts";
import { createEtcdGateway } from "../store/etcd/gateway.ts";
import { openEtcdStore } from "../store/etcd/open.ts";
import { createSqlTokenTable } from "../store/sql-token-table.ts";
import { openSqliteStore, type SqliteStore } from "../store/sqlite.ts";
import type { BindingStore } from "../store.ts";
import type { TokenTable, TokenWatch } from "../token-table.ts";
import type { CopyingStore } from "./backup-files.ts";
import { tellingOfFaults } from "./told-store.ts";

/** Everything the resolver keeps, behind whichever store it was told to use. */
export interface Backend {
  store: BindingStore;
  tokenTable: TokenTable;
  audit: AuditLog;
  /** What requests have to be signed for. */
  generation(): string;
  /** What the host was granted, for whoever speaks for it in that epoch. */
  grantOf(hostId: string, epoch: number): PushReply | undefined;
  /** Prolongs a lease for a link's ping; false when another process speaks for the host, or the lease is over. */
  touch(hostId: string, epoch: number): boolean;
  /** Does what is due; to be called every second. */
  sweep(): Promise<void>;
  /** For a store that is one file. */
  copies?: CopyingStore;
  close(): Promise<void>;
}

export interface BackendParts {
  config: ResolverConfig;
  settings: RegistrySettings;
  /** Milliseconds since 1970, from a clock that does not step. */
  now: () => number;
  onCommitted(change: Change): void;
  watch: TokenWatch;
  log: Log;
}

/** For one request at one member of etcd. */
const etcdTimeoutMs = 3000;

export async function openBackend(parts: BackendParts): Promise<Backend> {
  const { store } = parts.config;
  return store === undefined ? openFileBackend(parts) : openEtcdBackend(parts, store);
}

function openFileBackend({ config, settings, now, onCommitted, watch, log }: BackendParts): Backend {
  const file = join(config.stateDir, "registry.db");
  const isNew = (statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0;
  const store = openSqliteStore(file, settings, now, { onCommitted, auditNow: Date.now });
  // An operator who lost one is to see it: names come back by themselves, but nothing else does.
  if (isNew) log.info(`${file} is new: it has no created tokens and no names kept for anybody`);
  const { audit, generation, grantOf, touch } = store;
  const tokenTable = createSqlTokenTable(store.sql, audit, watch);
  return {
    store: tellingOfFaults(store, log),
    tokenTable,
    audit,
    generation,
    grantOf,
    touch,
    sweep: () => lapseAll(store, now),
    copies: {
      backup: (file) => store.backup(file),
      restore(file) {
        const report = store.restore(file);
        tokenTable.reread();
        return report;
      },
    },
    close: async () => store.close(),
  };
}

/** Step by step when many hosts lapse together, so that lookups have their turn in between. */
async function lapseAll(store: Pick<SqliteStore, "lapse">, now: () => number): Promise<void> {
  for (let next = store.lapse(); next !== undefined && next <= now(); next = store.lapse()) {
    await new Promise((resume) => setImmediate(resume));
  }
}

/** Holds and tokens are in etcd; what this resolver did is in a file of its own. */
async function openEtcdBackend(parts: BackendParts, urls: string[]): Promise<Backend> {
  const { config, settings, now, onCommitted, watch, log } = parts;
  const { etcdCa, etcdCert, etcdKey, etcdUser: user, etcdPasswordFile } = config;
  checkEtcd(config, urls);
  const record = openAuditFile(join(config.stateDir, "audit.db"));
  try {
    const gateway = createEtcdGateway({
      urls,
      timeoutMs: etcdTimeoutMs,
      log,
      ...(etcdCa === undefined ? {} : { ca: readGiven("etcd-ca", etcdCa) }),
      ...(etcdCert === undefined ? {} : { cert: readGiven("etcd-cert", etcdCert) }),
      ...(etcdKey === undefined ? {} : { key: readGiven("etcd-key", etcdKey) }),
      ...(user === undefined || etcdPasswordFile === undefined
        ? {}
        : { user, readPassword: async () => readGiven("etcd-password-file", etcdPasswordFile).trim() }),
    });
    const { audit } = record;
    const opened = await openEtcdStore(gateway, { settings, now, onCommitted, watch, audit, log });
    const { store, tokenTable, generation } = opened;
    return {
      store,
      tokenTable,
      audit,
      generation,
      grantOf: (hostId, epoch) => store.grantOf(hostId, epoch),
      touch: (hostId, epoch) => store.touch(hostId, epoch),
      sweep: () => store.sweep(),
      async close() {
        await opened.close();
        record.close();
      },
    };
  } catch (fault) {
    record.close();
    throw fault;
  }
}

/** What would send a password in the clear, or do less than the operator thinks. */
function checkEtcd(
  { etcdCa, etcdCert, etcdKey, etcdUser, etcdPasswordFile }: ResolverConfig,
  urls: string[],
): void {
  const isClear = urls.some((url) => url.startsWith("http:") && !isThisMachine(url));
  if ((etcdUser === undefined) !== (etcdPasswordFile === undefined))
    throw incomplete("--etcd-user and --etcd-password-file");
  if ((etcdCert === undefined) !== (etcdKey === undefined)) throw incomplete("--etcd-cert and --etcd-key");
  const isSecured = etcdCa !== undefined || etcdCert !== undefined;
  if (isSecured && urls.some((url) => url.startsWith("http:"))) {
    throw new BerthError("bad-config", "--etcd-ca and --etcd-cert are for TLS: write etcds:// in --store");
  }
  if (etcdUser === undefined || !isClear) return;
  const message = "--etcd-user: the password would cross the network in the clear; write etcds:// in --store";
  throw new BerthError("bad-config", message);
}

function isThisMachine(url: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(new URL(url).hostname);
}

function incomplete(options: string): BerthError {
  return new BerthError("bad-config", `${options} belong together; give both`);
}

function readGiven(option: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new BerthError("bad-config", `--${option} ${file}: cannot be read`, { who: file, cause });
  }
}
