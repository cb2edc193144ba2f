import type { Log } from "../shared/log.ts";
import { checkAdvertised, siteAddresses } from "./addresses.ts";
import { lockStateDirectory } from "./agent-lock.ts";
import { systemClock } from "./clock.ts";
import type { AgentConfig } from "./config.ts";
import { createDockerEngine } from "./engine/docker.ts";
import { hostIdOf, hostSigner, loadHostKey, readHostKey } from "./host-key.ts";
import { openLink } from "./lease/link.ts";
import { withdraw } from "./lease/withdraw.ts";
import { makePrivateDirectory } from "./private-file.ts";
import { Reconciler } from "./reconcile.ts";
import { readToken } from "./token-file.ts";

export interface AgentMeans {
  /** Trusts the resolver's certificate. */
  fetch: typeof fetch;
  log: Log;
}

export interface RunningAgent {
  hostId: string;
  /** Ends the agent and withdraws nothing: the lease carries the host's names over a restart or an upgrade. */
  close(): Promise<void>;
}

/**
 * Starts the agent and resolves once its loops run; it waits for neither engine nor resolver, and never gives either up. Throws a
 * BerthError when a person has to mend something first: `agent-running`, `bad-host-key`, `bad-state-dir`, `bad-config`.
 */
export async function startAgent(config: AgentConfig, { fetch, log }: AgentMeans): Promise<RunningAgent> {
  checkAdvertised(config.resolver, config.advertise);
  const engine = createDockerEngine(config.engine);
  await makePrivateDirectory(config.stateDir);
  const lock = lockStateDirectory(config.stateDir);
  try {
    const key = await loadHostKey(config.stateDir);
    const hostId = hostIdOf(key);
    const reconciler = new Reconciler({
      engine,
      resolver: {
        hostId,
        signer: hostSigner(key),
        lease: config.lease,
        urls: config.resolver,
        fetch,
        openLink,
        tokenFile: config.tokenFile,
        readToken: () => readToken(config.tokenFile),
        wallTime: Date.now,
      },
      zone: config.zone,
      hostLabel: config.hostLabel,
      readAddresses: (url) => siteAddresses(url, config.advertise),
      engineGraceMs: config.engineGrace * 1000,
      resyncMs: config.resync * 1000,
      clock: systemClock,
      random: Math.random,
      log,
    });
    log.info(`host ${hostId} watches ${engine.where} and pushes to ${config.resolver.join(", ")}`);
    const running = reconciler.run();
    return {
      hostId,
      async close() {
        reconciler.close();
        await running;
        lock.release();
      },
    };
  } catch (fault) {
    lock.release();
    throw fault;
  }
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
    const means = { fetch, token, timeoutMs: 10_000, signer: hostSigner(key), now: Date.now };
    const held = await withdraw(config.resolver, means, hostId);
    log.info(held ? `withdrew host ${hostId}` : `the resolver held nothing of host ${hostId}`);
    return held;
  } finally {
    lock.release();
  }
}
