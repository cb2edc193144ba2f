import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { networkInterfaces } from "node:os";

import { type Address, isLoopback, parseAddress } from "../../shared/address.ts";
import { hostPartOf, type Ipv6Prefix, ipv6At } from "./range.ts";

/**
 * IPv6 loopback is one address. More need a route that says the prefix is this machine's, and the permission to bind what no interface has
 * (net.ipv6.ip_nonlocal_bind, ip(7)): both may come and go.
 */
export interface Ipv6Range {
  readonly prefix: Ipv6Prefix | undefined;
  /** Whether its addresses could be listened at and connected to when it was last tried. */
  isUsable: boolean;
  /** Tries again. Says whether it was any different before. */
  probe(): Promise<boolean>;
}

export async function openIpv6Range(prefix: Ipv6Prefix | undefined): Promise<Ipv6Range> {
  const range: Ipv6Range = {
    prefix,
    isUsable: false,
    async probe() {
      const before = range.isUsable;
      range.isUsable = prefix !== undefined && (await isReachable(ipv6At(prefix, 1)));
      return range.isUsable !== before;
    },
  };
  await range.probe();
  return range;
}

/** A connection to oneself takes less than a millisecond. */
const probeTimeoutMs = 2_000;
/** How long what the system said of its own addresses is good for. */
const knownMs = 5_000;

/**
 * Tells programs of this machine from others. Nobody else reaches 127.0.0.0/8, but a prefix on the loopback interface is answered for on
 * every interface, so that a neighbour who knows it can come in.
 */
export function createLocalCheck(range: Ipv6Range, size: number): (address: string) => boolean {
  let own = new Set<string>();
  let readAt = Number.NEGATIVE_INFINITY;

  function isOwn(address: string): boolean {
    if (performance.now() - readAt > knownMs) {
      readAt = performance.now();
      const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
      own = new Set(all.map((one) => one.address));
    }
    return own.has(address);
  }

  return function isLocal(text) {
    const address: Address | undefined = parseAddress(text.replace(/%.*$/, ""));
    if (address === undefined) return false;
    if (isLoopback(address)) return true;
    if (!address.includes(":")) return isOwn(address);
    const isOurs =
      range.prefix !== undefined && hostPartOf(address, { base: 0, size }, range.prefix) !== undefined;
    return isOurs || isOwn(address);
  };
}

/** Without the route, an address can be bound that no connection reaches, and that may even leave this machine. */
async function isReachable(host: Address): Promise<boolean> {
  const server = createServer((socket) => socket.destroy());
  const signal = AbortSignal.timeout(probeTimeoutMs);
  try {
    const listening = once(server, "listening");
    server.listen({ host, port: 0, exclusive: true });
    await listening;
    const client = connect({ host, port: (server.address() as AddressInfo).port });
    try {
      await Promise.all([once(client, "connect", { signal }), once(server, "connection", { signal })]);
    } finally {
      client.destroy();
    }
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
