import { randomBytes } from "node:crypto";
import { readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";

import { BerthError } from "../shared/errors.ts";
import { createOnce, isMissing } from "./private-file.ts";

/** The right to speak for the host whose key lies in one state directory. */
export interface AgentLock {
  release(): Promise<void>;
}

/**
 * Two agents with one host key would push in turns, each undoing the other's set. Throws `agent-running` while another process holds
 * the directory; what a process that is gone left behind is replaced.
 */
export async function lockStateDirectory(stateDir: string): Promise<AgentLock> {
  const path = join(stateDir, "agent.pid");
  const own = `${process.pid} ${(await startTimeOf(process.pid)) ?? "-"}\n`;
  for (let attempt = 0; attempt < 5; attempt++) {
    if (await createLock(path, own)) return { release: () => release(path, own) };
    const found = await readLock(path);
    if (found === undefined) continue;
    if (await isHeld(found)) throw alreadyRunning(path, found);
    await removeStale(path, found);
  }
  throw alreadyRunning(path, "");
}

async function createLock(path: string, own: string): Promise<boolean> {
  try {
    return await createOnce(path, own);
  } catch (cause) {
    const message = `${path} cannot be written; the state directory must belong to the user who runs the agent`;
    throw new BerthError("bad-state-dir", message, { who: path, cause });
  }
}

async function readLock(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (fault) {
    if (isMissing(fault)) return undefined;
    throw new BerthError("bad-state-dir", `${path} cannot be read`, { who: path, cause: fault });
  }
}

/** A pid alone proves nothing after a crash, the number may be another program's by now; its start time tells them apart. */
async function isHeld(lock: string): Promise<boolean> {
  const [pid = "", started = ""] = lock.trim().split(" ");
  if (!/^\d+$/.test(pid)) return false;
  const present = await startTimeOf(Number(pid));
  if (started !== "-") return present === started;
  // No /proc on this system: the pid is all there is.
  return isAlive(Number(pid));
}

/** Renamed away before it is removed, and looked at again: another start may have replaced it since it was read. */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString("hex")}.stale`;
  try {
    await rename(path, aside);
    const taken = await readFile(aside, "utf8");
    if (taken !== stale) await createOnce(path, taken);
    await unlink(aside);
  } catch (fault) {
    if (!isMissing(fault)) throw fault;
  }
}

async function release(path: string, own: string): Promise<void> {
  if ((await readLock(path)) === own) await unlink(path).catch(() => {});
}

/** Field 22 of /proc/<pid>/stat (proc(5)), in ticks since the machine started; undefined when no such process runs. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    // Field 2 is the program's name in brackets, and may hold spaces and brackets of its own.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (fault) {
    return fault instanceof Error && "code" in fault && fault.code === "EPERM";
  }
}

function alreadyRunning(path: string, lock: string): BerthError {
  const pid = lock.split(" ")[0] ?? "";
  const message = `an agent runs with this state directory already${pid === "" ? "" : ` (process ${pid}, ${path})`}; stop it first, or give this one its own --state-dir`;
  return new BerthError("agent-running", message, { who: path });
}
