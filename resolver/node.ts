import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";

import { isLoopbackHost, isUnspecified, parseAddress } from "../shared/address.ts";
import type { ListenAddress } from "../shared/config.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { Apex } from "./answer.ts";
import { createApp } from "./app.ts";
import type { ResolverConfig } from "./config.ts";
import { type RegistrySettings, standardSettings } from "./registry.ts";
import { openAuthority } from "./serve/authority.ts";
import { readOrCreate } from "./serve/files.ts";
import {
  type FetchCallback,
  listenHttp,
  listenHttps,
  type SecureTransport,
  type Transport,
} from "./serve/listen.ts";
import { openSqliteStore, type SqliteStore } from "./store/sqlite.ts";
import { createTokenCheck } from "./tokens.ts";

export interface RunningResolver {
  address: ListenAddress;
  /** Certificate to trust, and tokens to present; all are files in the state directory. */
  caFile: string;
  agentTokenFile: string;
  readerTokenFile: string;
  close(): Promise<void>;
}

const dayMs = 24 * 60 * 60 * 1000;

/** The resolver on Node: SQLite, https, and a clock that no step of the machine's time disturbs. */
export async function startResolver(config: ResolverConfig, log: Log): Promise<RunningResolver> {
  refuseOpenHttp(config.listenHttp);
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 });
  const authority = await openAuthority(join(config.stateDir, "tls"));
  const names = certificateNames(config);
  const tokens = openTokens(config.stateDir);
  const settings = standardSettings(config.zone);
  const store = openSqliteStore(join(config.stateDir, "registry.db"), settings, steadyNow);
  const zone = { read: (owner: string) => store.read(owner) };
  const parts = { store, zone, apex: apexOf(config, settings), tokens: tokens.check, log };
  const app = createApp({ ...parts, acceptsLocal: () => isLoopbackHost(config.listen.host) });
  const stopSweeping = sweepLapses(store, log);
  try {
    const https = await listenHttps(
      app.fetch,
      config.listen,
      await authority.serverCertificate(names, Date.now()),
    );
    const http = await listenPlain(app.fetch, config.listenHttp).catch(async (fault) => {
      await https.close();
      throw fault;
    });
    const renewal = setInterval(() => void renewCertificate(https, authority, names, log), dayMs).unref();
    const close = async (): Promise<void> => {
      clearInterval(renewal);
      stopSweeping();
      await Promise.all([https.close(), http?.close()]);
      store.close();
    };
    return { address: https.address, caFile: authority.caFile, ...tokens.files, close };
  } catch (fault) {
    stopSweeping();
    store.close();
    throw fault;
  }
}

async function listenPlain(
  fetch: FetchCallback,
  at: ListenAddress | undefined,
): Promise<Transport | undefined> {
  return at === undefined ? undefined : listenHttp(fetch, at);
}

function refuseOpenHttp(at: ListenAddress | undefined): void {
  if (at === undefined || isLoopbackHost(at.host)) return;
  const message = `--listen-http ${at.host}:${at.port}: tokens would cross the network in the clear; use a loopback address`;
  throw new BerthError("bad-config", message);
}

/** Wall-clock milliseconds at the start, counted on by the monotonic clock. */
function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}

function openTokens(stateDir: string) {
  const agentTokenFile = join(stateDir, "agent.token");
  const readerTokenFile = join(stateDir, "reader.token");
  const agent = readOrCreate(agentTokenFile, 0o600, makeToken).trim();
  const reader = readOrCreate(readerTokenFile, 0o600, makeToken).trim();
  return { files: { agentTokenFile, readerTokenFile }, check: createTokenCheck({ agent, reader }) };
}

function makeToken(): string {
  return `${randomBytes(32).toString("base64url")}\n`;
}

function certificateNames(config: ResolverConfig): string[] {
  const listen = parseAddress(config.listen.host);
  const isEverywhere = listen !== undefined && isUnspecified(listen);
  const reached = isEverywhere ? [hostname(), ...machineAddresses()] : [config.listen.host];
  return [...new Set(["localhost", "127.0.0.1", "::1", ...reached, ...config.publicNames])];
}

/** Bound to every address, the resolver is reached at any of the machine's own; a link-local one means nothing without its link. */
function machineAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.filter(({ internal, scopeid }) => !internal && !scopeid).map(({ address }) => address);
}

function apexOf(config: ResolverConfig, settings: RegistrySettings): Apex {
  const listen = parseAddress(config.listen.host);
  const own = listen === undefined || isUnspecified(listen) ? [] : [listen];
  const nameServerAddresses = config.nsAddress.length > 0 ? config.nsAddress : own;
  const { zone, nameServers, ttl } = settings;
  return { zone, nameServers, nameServerAddresses, ttl, negativeTtl: 1 };
}

/** Removes hosts the moment their lease ends, so that lists, watchers and the serial do not wait for the next question. */
function sweepLapses(store: SqliteStore, log: Log): () => void {
  const sweepMs = 1000;
  const timer = setInterval(() => {
    try {
      store.lapse();
    } catch (fault) {
      log.error(`cannot remove lapsed hosts: ${describeFault(fault)}`);
    }
  }, sweepMs);
  return () => clearInterval(timer);
}

async function renewCertificate(
  https: SecureTransport,
  authority: Awaited<ReturnType<typeof openAuthority>>,
  names: string[],
  log: Log,
): Promise<void> {
  try {
    https.setCertificate(await authority.serverCertificate(names, Date.now()));
  } catch (fault) {
    log.error(`cannot renew the certificate: ${describeFault(fault)}`);
  }
}
