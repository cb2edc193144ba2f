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
import { type Authority, openAuthority } from "./serve/authority.ts";
import { readOrCreate } from "./serve/files.ts";
import { listenHttp, listenHttps, type SecureTransport } from "./serve/listen.ts";
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
  makeStateDirectory(config.stateDir);
  const authority = await openAuthority(join(config.stateDir, "tls"));
  const names = certificateNames(config);
  const tokens = openTokens(config.stateDir);
  const settings = standardSettings(config.zone);
  const opened: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closeOne of opened.splice(0).toReversed()) await closeOne();
  };
  try {
    const store = openSqliteStore(join(config.stateDir, "registry.db"), settings, steadyNow);
    opened.push(store.close, sweepLapses(store, log));
    const zone = { read: (owner: string) => store.read(owner) };
    const acceptsLocal = () => isLoopbackHost(config.listen.host);
    const app = createApp({
      store,
      zone,
      apex: apexOf(config, settings),
      tokens: tokens.check,
      acceptsLocal,
      log,
    });

    const certificate = await authority.serverCertificate(names, Date.now());
    const https = await listenHttps(app.fetch, config.listen, certificate, log);
    opened.push(https.close, keepCertificate(https, authority, names, log));
    if (config.listenHttp !== undefined) {
      opened.push((await listenHttp(app.fetch, config.listenHttp, log)).close);
    }
    return { address: https.address, caFile: authority.caFile, ...tokens.files, close };
  } catch (fault) {
    await close();
    throw fault;
  }
}

function makeStateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const message = `the state directory ${path} cannot be made; choose another with --state-dir`;
    throw new BerthError("bad-state-dir", message, { who: path, cause });
  }
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
  const agent = readToken(agentTokenFile);
  const reader = readToken(readerTokenFile);
  return { files: { agentTokenFile, readerTokenFile }, check: createTokenCheck({ agent, reader }) };
}

/** A token nobody can send would leave the resolver running and every agent refused. */
function readToken(file: string): string {
  const token = readOrCreate(file, 0o600, makeToken).trim();
  if (/^[\w.~+/=-]{20,}$/.test(token)) return token;
  const mend = "write one of 20 or more letters and digits into it, or remove it to get a new one";
  throw new BerthError("bad-token-file", `${file} holds no token (${mend})`, { who: file });
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
