import { hostname } from "node:os";

import type { Address } from "../shared/address.ts";
import type { Log } from "../shared/log.ts";
import { displayName } from "../shared/name.ts";
import { Progress } from "../shared/progress.ts";
import { observedAddress } from "../shared/resolver-client.ts";
import type { HttpSend } from "../shared/resolver-exchange.ts";
import { checkAdvertised, siteAddresses } from "./addresses.ts";
import { lockStateDirectory } from "./agent-lock.ts";
import { systemClock } from "./clock.ts";
import type { AgentConfig } from "./config.ts";
import type { EngineLimits } from "./engine/docker-engine.ts";
import { CheckBook } from "./health/check-book.ts";
import { probe } from "./health/probe.ts";
import { hostIdOf, hostSigner, loadHostKey, readHostKey } from "./host-key.ts";
import { openLink } from "./lease/link.ts";
import { withdraw } from "./lease/withdraw.ts";
import { rulesFrom, watchedEngines } from "./parts.ts";
import { makePrivateDirectory } from "./private-file.ts";
import { Reconciler, type ReconcilerOptions } from "./reconcile.ts";
import { RelayBook } from "./relay/relay-book.ts";
import { relayPortFile } from "./relay/relay-port-file.ts";
import { noPorts } from "./relay/relay-ports.ts";
import { ServiceFiles } from "./services/service-files.ts";
import { statusOf } from "./status/status-of.ts";
import { createStatusServer } from "./status/status-server.ts";
import { readToken } from "./token-file.ts";

export { explainOnce } from "./explain-once.ts";

const exchangeMs = 10_000;

export interface AgentMeans {
  /** Trusts the resolver's certificate. */
  fetch: HttpSend;
  log: Log;
  /** Berth's own, for status and metrics. */
  version?: string;
  /** Other than the usual ones, for every engine. */
  engineLimits?: EngineLimits;
}

export interface RunningAgent {
  hostId: string;
  /** Whether its loops turn. */
  readonly progress: Progress;
  /** One line of how it is. */
  status(): string;
  /** Reads engines, addresses and files of services anew. */
  reload(): Promise<void>;
  /**
   * Ends the agent and withdraws nothing but the ports it relays itself: the lease carries the host's names over a restart or an upgrade.
   */
  close(): Promise<void>;
}

/**
 * Starts the agent and resolves once its loops run; it waits for neither engine nor resolver, and never gives either up. Throws a
 * BerthError when a person has to mend something first: `agent-running`, `bad-host-key`, `bad-state-dir`, `bad-config`.
 */
export async function startAgent(config: AgentConfig, means: AgentMeans): Promise<RunningAgent> {
  const { log, version = "" } = means;
  checkAdvertised(config.resolver, config.advertise);
  const engines = watchedEngines(config, means.engineLimits);
  await makePrivateDirectory(config.stateDir);
  const lock = lockStateDirectory(config.stateDir);
  try {
    const key = await loadHostKey(config.stateDir);
    const hostId = hostIdOf(key);
    const progress = new Progress(systemClock.now);
    const resolver = {
      ...{ hostId, signer: hostSigner(key), lease: config.lease, urls: config.resolver, fetch: means.fetch },
      ...{ openLink, tokenFile: config.tokenFile, readToken: () => readToken(config.tokenFile) },
      wallTime: Date.now,
    };
    const onProgress = (loop: string, ms: number): void => progress.beat(loop, ms);
    const reconciler = new Reconciler({ ...optionsOf(config, means), engines, resolver, onProgress });
    const startedAt = systemClock.now();
    const subject = { version, hostId, hostLabel: config.hostLabel, startedAt, reconciler };
    const source = {
      status: () => statusOf(subject, systemClock.now()),
      explain: (what: string) => reconciler.explain(what),
    };
    const watched = engines.map(({ engine }) => engine.where).join(", ") || "no engine";
    log.info(`host ${hostId} watches ${watched} and pushes to ${config.resolver.join(", ")}`);
    const running = reconciler.run();
    const { status: listen } = config;
    const ownNames = ownNamesOf(config);
    const server =
      listen === undefined ? undefined : await createStatusServer({ listen, source, log, ownNames });
    return {
      hostId,
      progress,
      status: () => statusLine(reconciler),
      reload: () => reconciler.refresh(),
      async close() {
        await reconciler.close();
        await Promise.all([running, server?.close()]);
        lock.release();
      },
    };
  } catch (fault) {
    lock.release();
    throw fault;
  }
}

/** What a machine may be asked for by: as it calls itself, in full and in short, and as berth does. */
function ownNamesOf({ hostLabel, zone }: AgentConfig): string[] {
  const [short = ""] = hostname().split(".", 1);
  return [hostname(), short, hostLabel, `${hostLabel}.host.${displayName(zone)}`];
}

function optionsOf(
  config: AgentConfig,
  means: AgentMeans,
): Omit<ReconcilerOptions, "engines" | "resolver" | "onProgress"> {
  const { log } = means;
  const clock = systemClock;
  const { servicesDir: directory, zone, relayPorts: range = noPorts, stateDir, advertise } = config;
  const store = relayPortFile(stateDir, log);
  const observe = (url: string): Promise<Address> => observed(url, config, means);
  return {
    services: new ServiceFiles({ directory, zone, clock }),
    rules: rulesFrom(config),
    openRelays: (onChange) => new RelayBook({ range, store, onChange, log, clock, wallNow: Date.now }),
    openChecks: (onChange) => new CheckBook({ clock, random: Math.random, onChange, probe }),
    readAddresses: (url) => siteAddresses(url, advertise, observe),
    engineGraceMs: config.engineGrace * 1000,
    resyncMs: config.resync * 1000,
    ...{ clock, random: Math.random, log },
  };
}

async function observed(url: string, { tokenFile }: AgentConfig, { fetch }: AgentMeans): Promise<Address> {
  return observedAddress({ fetch, url, token: await readToken(tokenFile), timeoutMs: exchangeMs });
}

function statusLine({ engines, last, keeper }: Reconciler): string {
  const down = engines.filter(({ watch: { view } }) => view.read === undefined || view.fault !== undefined);
  const { bindings = [], problems = [] } = last?.declared ?? {};
  const parts = [`${bindings.length} bindings, ${problems.length} problems`];
  if (down.length > 0) parts.push(`no answer from the engine ${down.map(({ label }) => label).join(", ")}`);
  if (keeper.state.fault !== undefined) parts.push(keeper.state.fault);
  return parts.join("; ");
}

/**
 * Takes the host's names out of the registry. False when it held none, or the host never had a key to hold any with. Throws what the
 * resolver says against it.
 */
export async function withdrawFromResolver(
  config: AgentConfig,
  { fetch, log }: AgentMeans,
): Promise<boolean> {
  await makePrivateDirectory(config.stateDir);
  // A running agent would push them again at once.
  const lock = lockStateDirectory(config.stateDir);
  try {
    const key = await readHostKey(config.stateDir);
    if (key === undefined) return false;
    const hostId = hostIdOf(key);
    const token = await readToken(config.tokenFile);
    const means = { fetch, token, timeoutMs: exchangeMs, signer: hostSigner(key), now: Date.now };
    const held = await withdraw(config.resolver, means, hostId);
    log.info(held ? `withdrew host ${hostId}` : `the resolver held nothing of host ${hostId}`);
    return held;
  } finally {
    lock.release();
  }
}
