import type { RawClient } from "../../socks-proxy/testing/raw-client.ts";
import type { UdpPeer } from "../../socks-proxy/testing/udp-client.ts";

export const serverNames = ["berth", "microsocks", "dante"] as const;
export type ServerName = (typeof serverNames)[number];

/** One demand of the texts on a server, and how it is put to one. */
export interface Row {
  section: string;
  /** The demand, in the text's own words as far as they fit. */
  says: string;
  /** Throws an Unmet that says what was seen when the server does not meet it. */
  run(bed: ConformanceBed): Promise<void>;
  /** Servers that are known not to meet it, and what is seen of them. A server that meets it after all makes the table wrong. */
  differs?: Partial<Record<ServerName, { seen: RegExp; because: string }>>;
}

/** A server and what its clients connect to. */
export interface ConformanceBed {
  name: ServerName;
  /** A connection to the server that lets everybody in. */
  connect(): Promise<RawClient>;
  /** A connection to the server that lets in `me` with the password `secret` alone. */
  connectToGuarded(): Promise<RawClient>;
  /** Sends back what it is sent, and ends when it has been ended; over TCP, and over UDP at the same port. At 127.0.0.1. */
  echo: { address: readonly [number, number, number, number]; port: number; name: string };
  /** The same over TCP at ::1. */
  echo6: { port: number };
  /** A TCP server at 127.0.0.1 whose next connection's remote port is asked for. */
  nextRemotePort(): Promise<number>;
  closedPort: number;
  /** A name that nobody has. */
  absentName: string;
  /** A UDP socket of the client, at 127.0.0.1 unless said otherwise. */
  udpPeer(host?: string): Promise<UdpPeer>;
}

/** What a server was seen to do in the place of what is demanded. */
export class Unmet extends Error {
  override readonly name = "Unmet";
}

export function demand(isMet: boolean, seen: string): asserts isMet {
  if (!isMet) throw new Unmet(seen);
}

/** Octets as the texts write them. */
export function shown(octets: Iterable<number>): string {
  const text = [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join(" ");
  return text === "" ? "nothing" : `X'${text}'`;
}

export function demandOctets(seen: Iterable<number>, wanted: readonly number[], what: string): void {
  const got = [...seen];
  const isSame = got.length === wanted.length && got.every((octet, i) => octet === wanted[i]);
  demand(isSame, `${what} is ${shown(got)}, not ${shown(wanted)}`);
}
