import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { BerthError } from "../shared/errors.ts";
import { rememberNetwork } from "./engine-network.ts";
import { killProcessesOf, unmountBelow } from "./engine-remains.ts";
import { asLastResort } from "./last-resort.ts";
import { makeTemporaryDirectory } from "./temporary-directory.ts";

export interface OwnEngine {
  socketPath: string;
  /** Why it does not run, by its own last word; undefined while it runs. */
  fault(): string | undefined;
  /** Ends it with its containers, and takes back what it made on the machine. */
  close(): Promise<void>;
}

/** Docker's daemon as a child of this process, on a socket and a data root of its own that go with it. It answers a little later. */
export function startOwnEngine(): OwnEngine {
  if (process.getuid?.() !== 0) {
    const message = "no Docker engine runs, and only root can start one; start it, then run this again";
    throw new BerthError("no-engine", message);
  }
  const directory = makeTemporaryDirectory("berth-engine-");
  const network = rememberNetwork();
  const socketPath = join(directory.path, "sock");
  process.stderr.write(`berth: starting a Docker engine of its own at ${socketPath}; it ends with berth\n`);
  const daemon = spawnDaemon(directory.path, socketPath);
  const fault = (): string | undefined =>
    isRunning(daemon) ? undefined : lastLine(join(directory.path, "log"));
  const removeRemains = (): void => {
    killProcessesOf(directory.path);
    unmountBelow(directory.path);
    for (const failure of network.restore()) process.stderr.write(`berth: ${failure}\n`);
  };
  const callOff = asLastResort(removeRemains);
  return {
    socketPath,
    fault,
    async close() {
      if (isRunning(daemon)) {
        const ended = once(daemon, "exit");
        daemon.kill("SIGTERM");
        await ended;
      }
      removeRemains();
      callOff();
      directory.remove();
    },
  };
}

/** In a session of its own: Ctrl-C at the terminal must reach berth alone, which then ends it in order. */
function spawnDaemon(directory: string, socketPath: string): ChildProcess {
  const at = (name: string) => join(directory, name);
  const log = openSync(at("log"), "a");
  const places = ["--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid")];
  const daemon = spawn("dockerd", [...places, "-H", `unix://${socketPath}`], {
    stdio: ["ignore", log, log],
    detached: true,
  });
  // Reported by fault(): a program that cannot be started has no pid.
  daemon.on("error", () => undefined);
  return daemon;
}

function isRunning({ exitCode, signalCode, pid }: ChildProcess): boolean {
  return exitCode === null && signalCode === null && pid !== undefined;
}

function lastLine(log: string): string {
  return readFileSync(log, "utf8").trim().split("\n").at(-1) || "it ended at once";
}
