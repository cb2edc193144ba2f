import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import Docker from "dockerode";

import { BerthError } from "../shared/errors.ts";
import { installPackages, missingPackages } from "./debian.ts";

/** A Docker engine this machine's user may use. */
export interface LocalEngine {
  socketPath: string;
  /** Ends the engine, with its containers, if berth started it; one that was there is left as it is. */
  close(): Promise<void>;
}

const standardSocket = "/var/run/docker.sock";
const enginePatienceMs = 60_000;

/** The engine at DOCKER_HOST or the standard socket; without one, Debian's docker.io, installed if it must be and started. */
export async function findEngine(packagesBesides: string[], agreed: boolean): Promise<LocalEngine> {
  const socketPath = process.env.DOCKER_HOST?.replace(/^unix:\/\//, "") || standardSocket;
  const isThere = await answers(socketPath);
  const needed = isThere ? packagesBesides : ["docker.io", "iptables", ...packagesBesides];
  const why = isThere ? "the sample services are made of them" : `no Docker engine answers at ${socketPath}`;
  if (needed.length > 0) await installPackages(await missingPackages(needed), why, agreed);
  if (isThere) return { socketPath, close: async () => undefined };
  // Installing it starts it where a service manager runs and policy allows.
  if (await answers(standardSocket)) return { socketPath: standardSocket, close: async () => undefined };
  return existsSync("/run/systemd/system") ? startService() : startOwn();
}

async function answers(socketPath: string): Promise<boolean> {
  try {
    await new Docker({ socketPath, timeout: 5000 }).ping();
    return true;
  } catch {
    return false;
  }
}

async function startService(): Promise<LocalEngine> {
  await promisify(execFile)("systemctl", ["start", "docker"]).catch((cause: unknown) => {
    throw new BerthError("no-engine", "the Docker service does not start; see journalctl -u docker", {
      cause,
    });
  });
  await untilReady(standardSocket, () => undefined);
  return { socketPath: standardSocket, close: async () => undefined };
}

/** Without a service manager: an engine of our own, on a socket and data root of its own that go with it. */
async function startOwn(): Promise<LocalEngine> {
  if (process.getuid?.() !== 0) {
    throw new BerthError(
      "no-engine",
      "no Docker engine runs, and only root can start one; start it, then run this again",
    );
  }
  const directory = mkdtempSync(join(tmpdir(), "berth-engine-"));
  const at = (name: string) => join(directory, name);
  const log = openSync(at("log"), "a");
  const places = [
    "--data-root",
    at("data"),
    "--exec-root",
    at("exec"),
    "--pidfile",
    at("pid"),
    "-H",
    `unix://${at("sock")}`,
  ];
  const engine = spawn("dockerd", places, { stdio: ["ignore", log, log], detached: true });
  const fault = (): string | undefined => {
    if (engine.exitCode === null && engine.signalCode === null && engine.pid !== undefined) return undefined;
    return readFileSync(at("log"), "utf8").trim().split("\n").at(-1) ?? "it ended at once";
  };
  engine.on("error", () => undefined);
  console.log(`berth: started a Docker engine of its own at ${at("sock")}; it ends with berth`);
  const close = async (): Promise<void> => {
    if (fault() === undefined) {
      engine.kill("SIGTERM");
      await once(engine, "exit");
    }
    await unmountBelow(directory);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await untilReady(at("sock"), fault);
  } catch (fault) {
    await close();
    throw fault;
  }
  return { socketPath: at("sock"), close };
}

/** Where mounts are private, dockerd leaves its own bind mount of the data root behind. */
async function unmountBelow(directory: string): Promise<void> {
  const mounts = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  const ours = mounts.filter((path) => path.startsWith(`${directory}/`));
  for (const path of ours.toReversed()) await promisify(execFile)("umount", ["-l", path]);
}

async function untilReady(socketPath: string, fault: () => string | undefined): Promise<void> {
  const deadline = performance.now() + enginePatienceMs;
  while (!(await answers(socketPath))) {
    const reason = fault();
    if (reason !== undefined)
      throw new BerthError("no-engine", `the Docker engine does not start: ${reason}`);
    if (performance.now() > deadline)
      throw new BerthError("no-engine", "the Docker engine does not answer after a minute");
    await sleep(100);
  }
}
