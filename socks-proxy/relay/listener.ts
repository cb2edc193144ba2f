import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";

import { formatEndpoint } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { BerthError } from "../../shared/errors.ts";
import { acceptChannels, type Channel } from "./channel.ts";

export interface Listener {
  /** Where it listens; the port is the real one when the system chose it. */
  address: ListenAddress;
  /** Takes no more connections; those it has given away live on. */
  close(): void;
}

export interface ListenOptions {
  /** What the user calls the setting, for faults that are mended by it. */
  flag: string;
  accepted: (channel: Channel) => void;
  /** Such as EMFILE on accepting: that client is lost, the next may not be. */
  fault: (fault: Error) => void;
}

/** Clients that connect in one moment wait here until they are accepted; the system may have a lower limit of its own. */
const backlog = 4_096;

/** Throws a BerthError `port-in-use` or `cannot-listen`. */
export async function listen(wanted: ListenAddress, options: ListenOptions): Promise<Listener> {
  const settings = { pauseOnConnect: true, allowHalfOpen: true, noDelay: true };
  const server = createServer(settings);
  const listening = once(server, "listening");
  server.listen({ host: wanted.host, port: wanted.port, backlog });
  try {
    await listening;
  } catch (cause) {
    throw listenFault(wanted, options.flag, cause);
  }
  acceptChannels(server, options.accepted);
  server.on("error", options.fault);
  return { address: addressOf(server), close: () => void server.close() };
}

export function formatListen({ host, port }: ListenAddress): string {
  return formatEndpoint({ address: host, port });
}

function addressOf(server: Server): ListenAddress {
  const { address, port } = server.address() as AddressInfo;
  return { host: address, port };
}

function listenFault(wanted: ListenAddress, flag: string, cause: unknown): BerthError {
  const where = formatListen(wanted);
  const inUse = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
  const message = inUse
    ? `${where} is in use by another program: end it, or choose another port with ${flag}`
    : `cannot listen at ${where}: choose another address with ${flag}`;
  return new BerthError(inUse ? "port-in-use" : "cannot-listen", message, { who: "socks-proxy", cause });
}
