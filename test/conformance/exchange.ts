import { setTimeout as sleep } from "node:timers/promises";

import { greeting, type RawClient } from "../../socks-proxy/testing/raw-client.ts";
import { type ConformanceBed, demand, demandOctets, shown } from "./row.ts";

/** The steps that most rows have in common. */

/** How long a server may keep silent before that is taken for its answer. */
const patienceMs = 3_000;

export interface Reply {
  rep: number;
  rsv: number;
  addressType: number;
  address: Buffer;
  port: number;
}

export const successReply = 0;

/** A connection with the method chosen: no authentication. */
export async function greeted(bed: ConformanceBed): Promise<RawClient> {
  const client = await bed.connect();
  client.send(greeting);
  demandOctets(await within(client.read(2), "the choice of a method"), [5, 0], "the choice of a method");
  return client;
}

/** VER, REP, RSV, ATYP, BND.ADDR, BND.PORT. */
export async function readReply(client: RawClient): Promise<Reply> {
  const head = await within(client.read(4), "a reply");
  const [version, rep = -1, rsv = -1, addressType = -1] = head;
  demand(version === 5, `the reply's VER is ${version}`);
  const length = { 1: 4, 3: 0, 4: 16 }[addressType];
  demand(length !== undefined, `the reply's ATYP is ${addressType}`);
  const nameLength = addressType === 3 ? ((await within(client.read(1), "BND.ADDR"))[0] ?? 0) : length;
  const address = await within(client.read(nameLength), "BND.ADDR");
  const port = (await within(client.read(2), "BND.PORT")).readUInt16BE(0);
  return { rep, rsv, addressType, address, port };
}

export function ipv4Request(
  address: readonly [number, number, number, number],
  port: number,
  command = 1,
): Uint8Array {
  return Uint8Array.of(5, command, 0, 1, ...address, port >> 8, port & 255);
}

/** CONNECT to the echo server, granted. */
export async function connected(bed: ConformanceBed): Promise<RawClient> {
  const client = await greeted(bed);
  client.send(ipv4Request(bed.echo.address, bed.echo.port));
  const { rep } = await readReply(client);
  demand(rep === successReply, `REP is ${rep}`);
  return client;
}

/** What is sent comes back. */
export async function demandEcho(client: RawClient, text = "to and fro"): Promise<void> {
  client.send(Buffer.from(text));
  const came = await within(client.read(text.length), "what the target sends");
  demand(came.toString() === text, `the target's bytes came as ${shown(came)}`);
}

/** With time after the first for a server that takes one read for one message to show it. */
export async function sendOneByOne(client: RawClient, octets: Uint8Array): Promise<void> {
  client.socket.setNoDelay();
  for (const [index, octet] of octets.entries()) {
    client.send(octet);
    await sleep(index === 0 ? 200 : 2);
  }
}

/** The server ends the connection in time, without a word more. */
export async function demandEnd(client: RawClient, timeMs: number): Promise<void> {
  const rest = await within(client.readToEnd(), "the end of the connection", timeMs);
  demand(rest.length === 0, `${shown(rest)} comes before the end`);
}

/** What does not come within the time is seen as "nothing". */
export async function within<T>(awaited: Promise<T>, what: string, timeMs = patienceMs): Promise<T> {
  const over = new AbortController();
  const late = sleep(timeMs, undefined, { signal: over.signal }).then(() => undefined);
  late.catch(() => {});
  try {
    const first = await Promise.race([awaited.then((value) => ({ value })), late]);
    demand(first !== undefined, `nothing within ${timeMs / 1000} s in the place of ${what}`);
    return first.value;
  } catch (fault) {
    const seen = fault instanceof Error ? fault.message : String(fault);
    return demand(false, seen.includes(what) ? seen : `${seen}, in the place of ${what}`) as never;
  } finally {
    over.abort();
    awaited.catch(() => {});
  }
}
