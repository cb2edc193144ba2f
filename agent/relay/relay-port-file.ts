import { open, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";

import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { isMissing } from "../private-file.ts";
import type { RelayPortStore } from "./open-relay.ts";
import type { AllottedPort } from "./relay-ports.ts";

const fileName = "relay-ports.json";
/** Every port of both protocols, with long keys, takes less. */
const mostBytes = 16 << 20;

const allottedSchema = z.object({
  key: z.string().min(1),
  protocol: z.enum(["tcp", "udp"]),
  port: z.int().min(1).max(65535),
  usedAt: z.number().min(0),
});
const fileSchema = z.object({ ports: z.array(z.unknown()) });

/**
 * Keeps the relays' ports in `stateDir`. `load` never fails: what cannot be read is logged, and costs no more than new port numbers.
 * `save` replaces the file whole or not at all, also across a power cut; it throws a BerthError `bad-state-dir`.
 */
export function relayPortFile(stateDir: string, log: Log): RelayPortStore {
  const path = join(stateDir, fileName);
  return { load: () => loadFrom(path, log), save: (ports) => saveTo(path, ports) };
}

async function loadFrom(path: string, log: Log): Promise<AllottedPort[]> {
  try {
    const { ports } = fileSchema.parse(JSON.parse(await readBounded(path)));
    const good = ports.flatMap((port) => allottedSchema.safeParse(port).data ?? []);
    if (good.length < ports.length)
      log.warn(`${path}: ${ports.length - good.length} of ${ports.length} ports are damaged and forgotten`);
    return good;
  } catch (fault) {
    if (isMissing(fault)) return [];
    const reason = fault instanceof z.ZodError ? "it does not hold a list of ports" : describeFault(fault);
    log.warn(`${path} is damaged (${reason}); relays may get other ports than before`);
    return [];
  }
}

async function readBounded(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    if (size > mostBytes) throw new Error(`it has ${size} bytes`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}

async function saveTo(path: string, ports: readonly AllottedPort[]): Promise<void> {
  // One name: the agent's lock keeps a second writer away, and a power cut leaves no litter that grows.
  const temporary = `${path}.tmp`;
  try {
    await writeFlushed(temporary, `${JSON.stringify({ ports })}\n`);
    await rename(temporary, path);
    await flush(dirname(path));
  } catch (cause) {
    await unlink(temporary).catch(() => {});
    const message = `the relays' ports cannot be kept in ${path}; check its directory's owner and free space`;
    throw new BerthError("bad-state-dir", message, { who: path, retryable: true, cause });
  }
}

async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function flush(directory: string): Promise<void> {
  const file = await open(directory, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
