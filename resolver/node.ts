import { accessSync, constants, mkdirSync } from "node:fs";
import { join } from "node:path";

import { isLoopbackHost } from "../shared/address.ts";
import { backupPath } from "../shared/backup.ts";
import { changesPath } from "../shared/changes.ts";
import type { ListenAddress } from "../shared/config.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { whenAccessEnds } from "./access-end.ts";
import { createApp } from "./app.ts";
import type { Timers } from "./change-events.ts";
import { ChangeLog } from "./change-log.ts";
import type { Change } from "./changes.ts";
import { lookupsNeedToken, type ResolverConfig } from "./config.ts";
import { createRecentTokenCheck } from "./recent-tokens.ts";
import { RefusalAudit } from "./refusal-audit.ts";
import { changesFeed } from "./routes/changes.ts";
import { type Authority, openAuthority } from "./serve/authority.ts";
import { type Backend, openBackend } from "./serve/backend.ts";
import { openBackupFiles } from "./serve/backup-files.ts";
import { listenHttp, listenHttps, peerOf, type SecureTransport } from "./serve/listen.ts";
import { apexOf, certificateNames } from "./serve/names.ts";
import { createNodeLinks } from "./serve/node-links.ts";
import { createSparingLog } from "./serve/sparing-log.ts";
import { openTokenFiles } from "./serve/tokens.ts";
import { type RegistrySettings, standardSettings } from "./settings.ts";
import { TokenWatch } from "./token-table.ts";
import { createTokenCheck } from "./tokens.ts";

export interface RunningResolver {
  address: ListenAddress;
  /** Certificate to trust, and tokens to present; all are files in the state directory. */
  caFile: string;
  agentTokenFile: string;
  readerTokenFile: string;
  adminTokenFile: string;
  close(): Promise<void>;
}

const dayMs = 24 * 60 * 60 * 1000;
const sweepMs = 1000;

/**
 * The resolver on Node: SQLite or etcd, and https. Leases and holds run on a clock that no step of the machine's time disturbs; when a
 * token ends, and when something was done, is a matter of the calendar, and follows the machine's time also when that was wrong at first.
 */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: the order in which the parts start, and so the order in which they end, is to be seen in one place
export async function startResolver(config: ResolverConfig, given: Log): Promise<RunningResolver> {
  const log = createSparingLog(given, steadyNow);
  refuseOpenHttp(config.listenHttp);
  makeStateDirectory(config.stateDir);
  const authority = await openAuthority(join(config.stateDir, "tls"));
  const { files, tokens: bootstrap } = openTokenFiles(config.stateDir);
  const settings = settingsOf(config);
  const opened: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closeOne of opened.splice(0).toReversed()) await closeOne();
  };
  try {
    const watch = new TokenWatch(log);
    const listeners: ((change: Change) => void)[] = [];
    const onCommitted = (change: Change) => {
      for (const listener of listeners) listener(change);
    };
    const backend = await openBackend({ config, settings, now: steadyNow, onCommitted, watch, log });
    opened.push(backend.close);
    const { store, tokenTable, audit, generation } = backend;
    const tokens = createTokenCheck({ bootstrap, table: tokenTable, now: Date.now });
    const refusals = new RefusalAudit(audit);
    const { publicPath } = config;
    const links = createNodeLinks({ backend, tokens, refusals, publicPath, now: Date.now, log });
    const changes = new ChangeLog(generation(), (await store.hosts()).revision);
    listeners.push((change) => {
      if (changes.generation === generation()) changes.note(change);
      else changes.restart(generation(), change.revision);
      links.hostsChanged(change.hosts);
    });
    watch.onRevoked((tokenId) => links.closeToken(tokenId));
    opened.push(sweepEverySecond(backend, refusals, log));
    const { copies } = backend;
    const app = createApp({
      store,
      zone: { read: (owner) => store.read(owner) },
      apex: apexOf(config, settings),
      tokens,
      lookupsNeedToken: lookupsNeedToken(config),
      lookupTokens: createRecentTokenCheck(tokens, Date.now),
      acceptsLocal: () => isLoopbackHost(config.listen.host),
      tokenTable,
      audit,
      refusals,
      changes: changesFeed({
        changes,
        services: (names) => store.services(names),
        timers,
        log,
        accessEnds: (access, end) => whenAccessEnds({ watch, timers, now: Date.now }, access, end),
      }),
      ...(copies === undefined ? {} : { backup: await openBackupFiles(config.stateDir, copies) }),
      now: Date.now,
      publicPath,
      peerOf,
      trustedProxies: config.trustedProxies,
      log,
    });

    const names = certificateNames(config);
    const certificate = await authority.serverCertificate(names, Date.now());
    const uses = { upgrades: links, mayLast: (path: string) => path === changesPath || path === backupPath };
    const https = await listenHttps(app.fetch, config.listen, certificate, log, uses);
    opened.push(https.close, keepCertificate(https, authority, names, log));
    if (config.listenHttp !== undefined) {
      opened.push((await listenHttp(app.fetch, config.listenHttp, log, uses)).close);
    }
    // First of all, while the connections they are on still stand.
    opened.push(links.close);
    const tokenFiles = { agentTokenFile: files.agent, readerTokenFile: files.reader };
    const { address } = https;
    return { address, caFile: authority.caFile, ...tokenFiles, adminTokenFile: files.admin, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

function settingsOf({ zone, leaseMin, leaseMax }: ResolverConfig): RegistrySettings {
  if (leaseMin > leaseMax) {
    throw new BerthError("bad-config", `--lease-min ${leaseMin} is more than --lease-max ${leaseMax}`);
  }
  return { ...standardSettings(zone), leaseLimits: { lowest: leaseMin, highest: leaseMax } };
}

function makeStateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const message = `the state directory ${path} cannot be made; choose another with --state-dir`;
    throw new BerthError("bad-state-dir", message, { who: path, cause });
  }
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    const mend = "check its owner and mode, or choose another with --state-dir";
    const message = `the state directory ${path} has to be readable and writable for the user the resolver runs as (${mend})`;
    throw new BerthError("bad-state-dir", message, { who: path, cause });
  }
}

function refuseOpenHttp(at: ListenAddress | undefined): void {
  if (at === undefined || isLoopbackHost(at.host)) return;
  const message = `--listen-http ${at.host}:${at.port}: tokens would cross the network in the clear; use a loopback address`;
  throw new BerthError("bad-config", message);
}

/** Wall-clock milliseconds at the start, counted on by the monotonic clock: for the registry alone. */
function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}

const timers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** Removes hosts the moment their lease ends, so that lists, watchers and the serial do not wait for the next question. */
function sweepEverySecond(backend: Backend, refusals: RefusalAudit, log: Log): () => Promise<void> {
  const sweep = async (): Promise<void> => {
    await backend.sweep().catch((fault: unknown) => {
      log.error(`cannot remove lapsed hosts: ${describeFault(fault)}`);
    });
    await flush();
  };
  const flush = (): Promise<void> =>
    refusals.flush().catch((fault: unknown) => log.error(`audit record: ${describeFault(fault)}`));
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    // One that takes longer than a second must not be overtaken by the next.
    running ??= sweep().finally(() => {
      running = undefined;
    });
  }, sweepMs);
  return async () => {
    clearInterval(timer);
    await running;
    await flush();
  };
}

/** Looks every day whether the certificate is to be renewed; returns what ends that. */
function keepCertificate(
  https: SecureTransport,
  authority: Authority,
  names: string[],
  log: Log,
): () => void {
  const renew = async (): Promise<void> => {
    try {
      https.setCertificate(await authority.serverCertificate(names, Date.now()));
    } catch (fault) {
      log.error(`cannot renew the certificate: ${describeFault(fault)}`);
    }
  };
  const timer = setInterval(() => void renew(), dayMs).unref();
  return () => clearInterval(timer);
}
