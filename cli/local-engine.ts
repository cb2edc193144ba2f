import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

import { BerthError } from "../shared/errors.ts";
import { installPackages, missingPackages } from "./debian.ts";
import { startOwnEngine } from "./own-engine.ts";

/** A Docker engine this machine's user may use. */
export interface LocalEngine {
  socketPath: string;
  /** Ends the engine, with its containers, if berth started it; one that was there is left as it is. */
  close(): Promise<void>;
}

export interface EngineWish {
  socketPath: string;
  /** The user named it: then it is this one or none. */
  isChosen: boolean;
  /** Debian packages that are needed with any engine. */
  packages: string[];
  /** Install without asking. */
  agreed: boolean;
}

const standardSocket = "/var/run/docker.sock";
const enginePatienceMs = 60_000;

/**
 * The engine that is wished for; where none was chosen and none is there, Debian's docker.io, installed if it must be and started. Throws a
 * BerthError `no-engine` or `cannot-install` that says what to do, and the interruption's own.
 */
export async function findEngine(wish: EngineWish, interrupted: AbortSignal): Promise<LocalEngine> {
  const { socketPath, isChosen, packages, agreed } = wish;
  const isThere = await isUsable(socketPath);
  if (!isThere && isChosen) {
    const message = `no Docker engine answers at unix://${socketPath}, which DOCKER_HOST or --engine names; start it, or unset that`;
    throw new BerthError("no-engine", message);
  }
  interrupted.throwIfAborted();
  const needed = isThere ? packages : ["docker.io", "iptables", "iproute2", ...packages];
  const why = isThere ? "the sample services are made of them" : `no Docker engine answers at ${socketPath}`;
  if (needed.length > 0) await installPackages(await missingPackages(needed), why, agreed, interrupted);
  interrupted.throwIfAborted();
  if (isThere) return foreign(socketPath);
  // Installing it starts it where a service manager runs and policy allows.
  if (await isUsable(standardSocket)) return foreign(standardSocket);
  return existsSync("/run/systemd/system") ? startService(interrupted) : startOwn(interrupted);
}

/** False when nothing is there. Throws a BerthError `no-engine` when something is that cannot be used. */
export async function isUsable(socketPath: string): Promise<boolean> {
  const { status, code } = await ping(socketPath);
  if (status === 200) return true;
  if (code === "ENOENT" || code === "ECONNREFUSED") return false;
  if (code === "EACCES" || code === "EPERM") {
    const message = `a Docker engine is there (${socketPath}), but this user may not use it: add it to the group docker`;
    throw new BerthError("no-engine", message);
  }
  const what = code ?? `HTTP ${status}`;
  const message = `what is at ${socketPath} does not answer as a Docker engine does (${what}); is it running (systemctl status docker)?`;
  throw new BerthError("no-engine", message);
}

function foreign(socketPath: string): LocalEngine {
  return { socketPath, close: async () => undefined };
}

/** Not with dockerode, which hides why a connection failed and reads DOCKER_* for itself. */
async function ping(socketPath: string): Promise<{ status?: number | undefined; code?: string | undefined }> {
  return new Promise((resolve) => {
    const asked = request({ socketPath, path: "/_ping", timeout: 5000, agent: false });
    asked.on("response", (response) => {
      response.resume();
      resolve({ status: response.statusCode });
    });
    asked.on("timeout", () => asked.destroy(Object.assign(new Error("no answer"), { code: "ETIMEDOUT" })));
    asked.on("error", (fault: NodeJS.ErrnoException) => resolve({ code: fault.code ?? fault.message }));
    asked.end();
  });
}

async function startService(interrupted: AbortSignal): Promise<LocalEngine> {
  await promisify(execFile)("systemctl", ["start", "docker"]).catch((cause: unknown) => {
    // Ctrl-C reaches it as well.
    interrupted.throwIfAborted();
    const message = "the Docker service does not start; see journalctl -u docker";
    throw new BerthError("no-engine", message, { cause });
  });
  await untilReady(standardSocket, () => undefined, interrupted);
  return foreign(standardSocket);
}

/** Without a service manager: an engine of our own. */
async function startOwn(interrupted: AbortSignal): Promise<LocalEngine> {
  const engine = startOwnEngine();
  try {
    await untilReady(engine.socketPath, engine.fault, interrupted);
    return engine;
  } catch (fault) {
    await engine.close();
    throw fault;
  }
}

async function untilReady(
  socketPath: string,
  fault: () => string | undefined,
  interrupted: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + enginePatienceMs;
  while ((await ping(socketPath)).status !== 200) {
    interrupted.throwIfAborted();
    const reason = fault();
    if (reason !== undefined)
      throw new BerthError("no-engine", `the Docker engine does not start: ${reason}`);
    if (performance.now() > deadline)
      throw new BerthError("no-engine", "the Docker engine does not answer after a minute");
    await sleep(100);
  }
}
