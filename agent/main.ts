import { readFile } from "node:fs/promises";

import { BerthError } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import { withdrawHost } from "../shared/resolver-client.ts";
import { checkAdvertised, siteAddresses } from "./addresses.ts";
import { lockStateDirectory } from "./agent-lock.ts";
import { systemClock } from "./clock.ts";
import type { AgentConfig } from "./config.ts";
import { createDockerEngine } from "./docker.ts";
import { hostIdOf, loadHostKey, readHostKey } from "./host-key.ts";
import { makePrivateDirectory } from "./private-file.ts";
import { Reconciler } from "./reconcile.ts";

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
    const hostId = hostIdOf(await loadHostKey(config.stateDir));
    const reconciler = new Reconciler({
      engine,
      resolver: {
        hostId,
        lease: config.lease,
        url: config.resolver,
        fetch,
        readToken: () => readToken(config.tokenFile),
      },
      zone: config.zone,
      hostLabel: config.hostLabel,
      readAddresses: () => siteAddresses(config.resolver, config.advertise),
      engineGraceMs: config.engineGrace * 1000,
      resyncMs: config.resync * 1000,
      clock: systemClock,
      random: Math.random,
      log,
    });
    log.info(`host ${hostId} watches ${engine.where} and pushes to ${config.resolver}`);
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

/** Takes the host's names out of the resolver. False when it held none, or the host never had a key to hold any with. */
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
    const held = await withdrawHost({ fetch, url: config.resolver, token, timeoutMs: 10_000 }, hostId);
    log.info(held ? `withdrew host ${hostId}` : `the resolver held nothing of host ${hostId}`);
    return held;
  } finally {
    lock.release();
  }
}

async function readToken(path: string): Promise<string> {
  const mend =
    "the resolver makes the agent's token at its first start; copy it here, or name its file with --token-file";
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
  } catch (cause) {
    throw new BerthError("no-token", `the token file ${path} cannot be read: ${mend}`, {
      who: path,
      retryable: true,
      cause,
    });
  }
  // A header takes visible ASCII only; fetch would say so without naming the file.
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw new BerthError("no-token", `the token file ${path} holds no token: ${mend}`, {
    who: path,
    retryable: true,
  });
}
