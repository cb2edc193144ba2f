import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import { type Address, familyOf, parseAddress } from "../shared/address.ts";
import type { ListenAddress } from "../shared/config.ts";
import { Rcode, RRType } from "../shared/dns/constants.ts";
import { decodeResponse, encodeQuery, type Response } from "../shared/dns/message.ts";
import { displayName, type Name, parseName } from "../shared/name.ts";
import { probeName, zoneOfProbe } from "../shared/reserved.ts";

/** What a DNS server says when it is asked for what only the proxy can know. */
export type ListenerState =
  | { kind: "answers" }
  /** It answers, and does not know itself: another program, or a proxy without this zone. */
  | { kind: "stranger"; what: string }
  | { kind: "silent"; what: string };

const limitMs = 3_000;
const [settleMs, betweenMs] = [5_000, 100];

/** Asks the server itself. Every outcome is a value. */
export async function probeListener(server: ListenAddress, zone: Name): Promise<ListenerState> {
  const address = parseAddress(server.host);
  if (address === undefined) return { kind: "silent", what: "its address is none" };
  const type = familyOf(address) === 4 ? RRType.A : RRType.AAAA;
  const response = await ask(address, server.port, encodeQuery(probeName(zone), type));
  if (typeof response === "string") return { kind: "silent", what: response };
  const isSelf = response.answer.some(({ rdata }) => "address" in rdata && rdata.address === address);
  if (isSelf) return { kind: "answers" };
  const what =
    response.rcode === Rcode.NXDomain || response.rcode === Rcode.NoError ? "no such name" : "a refusal";
  return { kind: "stranger", what };
}

/** The zones the proxy that listens there knows, by its own word: what its address is called. None when it is not there. */
export async function zonesOfListener({ host, port }: ListenAddress): Promise<Name[]> {
  const address = parseAddress(host);
  if (address === undefined || familyOf(address) === 6) return [];
  const reverse = parseName(`${address.split(".").reverse().join(".")}.in-addr.arpa`);
  const response = await ask(address, port, encodeQuery(reverse, RRType.PTR));
  if (typeof response === "string") return [];
  return response.answer.flatMap(({ rdata }) =>
    rdata.type === RRType.PTR ? (zoneOfProbe(rdata.target) ?? []) : [],
  );
}

/** Whether a question of any program for a name of the zone comes out at the server: asks as programs do, by getaddrinfo(3). */
export async function reachesListener(server: ListenAddress, zone: Name): Promise<boolean> {
  const address = parseAddress(server.host);
  const found = lookup(displayName(probeName(zone)), { all: true }).then(
    (addresses) => addresses.some((each) => parseAddress(each.address) === address),
    () => false,
  );
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), 2 * limitMs);
  const reaches = await Promise.race([found, late.promise]);
  clearTimeout(timer);
  return reaches;
}

/**
 * Waits until a program's question arrives: what was told to reload may do so a moment after it said yes. A few seconds at most, and not at
 * all where the server itself does not answer for the zone.
 */
export async function untilReaching(
  server: ListenAddress,
  zone: Name,
  reaches = reachesListener,
): Promise<void> {
  if ((await probeListener(server, zone)).kind !== "answers") return;
  const end = performance.now() + settleMs;
  while (!(await reaches(server, zone)) && performance.now() < end) await sleep(betweenMs);
}

async function ask(address: Address, port: number, query: Uint8Array): Promise<Response | string> {
  const socket = createSocket(familyOf(address) === 4 ? "udp4" : "udp6");
  try {
    const signal = AbortSignal.timeout(limitMs);
    // Connected, so that a port nobody listens at is a fault at once.
    socket.connect(port, address);
    await once(socket, "connect", { signal });
    const reply = once(socket, "message", { signal });
    socket.send(query);
    const [bytes] = (await reply) as [Uint8Array];
    return decodeResponse(bytes);
  } catch (fault) {
    if (fault instanceof Error && fault.name === "AbortError") return `no answer within ${limitMs / 1000} s`;
    const isClosed = fault instanceof Error && "code" in fault && fault.code === "ECONNREFUSED";
    return isClosed
      ? "nothing listens there"
      : `no answer (${fault instanceof Error ? fault.message : fault})`;
  } finally {
    socket.close();
  }
}
