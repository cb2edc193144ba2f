import { readdir, readFile, readlink } from "node:fs/promises";

import { type Address, isUnspecified, parseAddress } from "../../shared/address.ts";
import type { Protocol } from "../../shared/dns/endpoints.ts";
import type { PortHolder } from "./port-fault.ts";

/** TCP_LISTEN, and what a bound UDP socket without a peer shows (TCP_CLOSE), as include/net/tcp_states.h numbers them. */
const boundState = { tcp: "0A", udp: "07" } as const;
/** Processes looked through for the socket's owner. */
const mostProcesses = 4_096;

interface Held {
  address: string;
  port: number;
  inode: string;
}

/** How long an answer is good for: looking through all processes for every name that wants the same port would take seconds. */
const knownMs = 10_000;

type Find = typeof findPortHolder;

/** `find`, asked once in a while for each port that some program holds at every address. */
export function rememberHolders(find: Find, now: () => number): Find {
  const known = new Map<string, { found: ReturnType<Find>; at: number }>();
  return async function findRemembered(protocol, address, port) {
    const key = `${protocol} ${port}`;
    const last = known.get(key);
    if (last !== undefined && now() - last.at < knownMs) {
      const holder = await last.found;
      if (holder !== undefined && isUnspecified(holder.address as Address)) return holder;
    }
    const found = find(protocol, address, port);
    known.set(key, { found, at: now() });
    return found;
  };
}

/** Who keeps `address`:`port` from being bound: a socket there, or at every address. Undefined when /proc does not say. */
export async function findPortHolder(
  protocol: Protocol,
  address: Address,
  port: number,
): Promise<PortHolder | undefined> {
  const tables = await Promise.all([table(protocol), table(`${protocol}6`)]);
  const held = tables
    .flatMap((text) => heldPorts(text, boundState[protocol]))
    .find((one) => one.port === port && (one.address === address || isUnspecified(one.address as Address)));
  if (held === undefined) return undefined;
  const program = await ownerOf(held.inode);
  return { address: held.address, port, ...(program === undefined ? {} : { program }) };
}

/** Of the text of /proc/net/tcp and its kin (proc(5)): each bound socket. */
export function heldPorts(text: string, state: string): Held[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [hex = "", port = ""] = (fields[1] ?? "").split(":");
    if (fields[3] !== state) return [];
    return [{ address: addressFromHex(hex), port: Number.parseInt(port, 16), inode: fields[9] ?? "" }];
  });
}

/** Words of 32 bits, each in this machine's byte order, which is little endian wherever Node runs. */
function addressFromHex(hex: string): string {
  const octets = (hex.match(/.{8}/g) ?? []).flatMap((word) =>
    (word.match(/../g) ?? []).reverse().map((octet) => Number.parseInt(octet, 16)),
  );
  if (octets.length === 4) return octets.join(".");
  const groups = octets.flatMap((octet, i) =>
    i % 2 === 0 ? [(octet * 256 + (octets[i + 1] ?? 0)).toString(16)] : [],
  );
  return parseAddress(groups.join(":")) ?? "::";
}

async function table(name: string): Promise<string> {
  return readFile(`/proc/net/${name}`, "utf8").catch(() => "");
}

/** Of other users' processes only root sees the sockets. */
async function ownerOf(inode: string): Promise<string | undefined> {
  const names = await readdir("/proc").catch(() => []);
  const pids = names.filter((name) => /^\d+$/.test(name)).slice(0, mostProcesses);
  for (const pid of pids) {
    if (!(await hasSocket(pid, inode))) continue;
    const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "");
    return name === "" ? undefined : `${name.trim()} (process ${pid})`;
  }
  return undefined;
}

async function hasSocket(pid: string, inode: string): Promise<boolean> {
  const wanted = `socket:[${inode}]`;
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  for (const descriptor of descriptors) {
    if ((await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "")) === wanted) return true;
  }
  return false;
}
