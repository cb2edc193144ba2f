import { mustRun } from "../testbed/process.ts";

/** Where a datagram goes, and what is in it. */
export interface PortlessDatagram {
  /** IPv4. */
  address: string;
  port: number;
  payload: Uint8Array | string;
}

/** No socket of the system's own sends from port 0: these have their UDP header (RFC 768) written by hand, without a checksum. */
const sender = `
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
for address, port, payload in (argument.split(" ") for argument in sys.argv[1:]):
  octets = bytes.fromhex(payload)
  raw.sendto(struct.pack("!HHHH", 0, int(port), 8 + len(octets), 0) + octets, (address, 0))
`;

/** Sends each from 127.0.0.1 port 0, to which nothing can be answered. Resolves when they are on their way; needs root. */
export async function sendFromPortZero(netns: string, ...datagrams: PortlessDatagram[]): Promise<void> {
  const targets = datagrams.map(
    ({ address, port, payload }) => `${address} ${port} ${Buffer.from(payload).toString("hex")}`,
  );
  await mustRun(["python3", "-c", sender, ...targets], { netns });
}
