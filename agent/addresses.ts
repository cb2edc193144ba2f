import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";

import {
  type Address,
  familyOf,
  isConnectable,
  isLoopback,
  isLoopbackHost,
  parseAddress,
} from "../shared/address.ts";
import { BerthError } from "../shared/errors.ts";
import type { SiteAddresses } from "./site.ts";

/** getaddrinfo waits for a dead DNS server as long as its own settings say, up to half a minute. */
const lookupLimitMs = 5_000;

/** What `--advertise` asks for; an empty list: the addresses the kernel chooses. `observed`: the one the resolver sees, through NAT. */
export type Advertise = readonly Address[] | "observed";

/**
 * The addresses this host advertises: the given ones, the one `observe` tells, else those the kernel would reach the resolver from. Throws
 * a BerthError `no-address` when there is none. Cheap enough to ask at every resync: addresses change by DHCP.
 */
export async function siteAddresses(
  resolverUrl: string,
  advertise: Advertise,
  observe: (resolverUrl: string) => Promise<Address>,
): Promise<SiteAddresses> {
  if (advertise === "observed")
    return advertisedSite([checkObserved(await observe(resolverUrl), resolverUrl)], resolverUrl);
  if (advertise.length > 0) return advertisedSite(advertise, resolverUrl);
  const { isLocal, addresses } = await sourcesTowards(resolverUrl);
  if (isLocal) return siteAt(await loopbackAddresses());
  if (addresses.length > 0) return siteAt(addresses);
  throw noAddress(resolverUrl);
}

/**
 * The site of a host on this machine that is advertised at the given addresses. What comes to one that is not the machine's own is passed on
 * to it by NAT, to where the machine reaches the resolver from. Throws a BerthError `no-address` when that cannot be told.
 */
export async function advertisedSite(
  addresses: readonly Address[],
  resolverUrl: string,
): Promise<SiteAddresses> {
  const outer: Address[] = [];
  for (const address of addresses) if (!(await isOwn(address))) outer.push(address);
  if (outer.length === 0) return siteAt(addresses);
  const { isLocal, addresses: sources } = await sourcesTowards(resolverUrl);
  // A look that fails says nothing of NAT: what was known stands, as for addresses that are not given.
  if (sources.length === 0 && !isLocal) throw noAddress(resolverUrl);
  const arrivals = new Map<Address, Address>();
  for (const address of outer) {
    const source =
      sources.find((candidate) => familyOf(candidate) === familyOf(address)) ??
      (await sourceTowards(address, 443));
    if (source !== undefined && !isLoopback(source)) arrivals.set(address, source);
  }
  return arrivals.size === 0 ? siteAt(addresses) : { ...siteAt(addresses), arrivals };
}

function noAddress(resolverUrl: string): BerthError {
  const { hostname } = new URL(resolverUrl);
  const message = `this host has no address of its own on the way to the resolver (${hostname}); check its network, or name one with --advertise`;
  return new BerthError("no-address", message, { who: hostname, retryable: true });
}

/** The addresses this machine reaches the resolver from, at most one of each family and none of loopback; `isLocal`: it is on this one. */
async function sourcesTowards(resolverUrl: string): Promise<{ isLocal: boolean; addresses: Address[] }> {
  const { hostname, port } = new URL(resolverUrl);
  const towards = await addressesOf(
    hostname,
    `the resolver's host "${hostname}" has no address; check --resolver, or name this host's addresses with --advertise`,
  );
  const addresses: Address[] = [];
  for (const family of [4, 6] as const) {
    const address = towards.find((candidate) => familyOf(candidate) === family);
    const source = address === undefined ? undefined : await sourceTowards(address, Number(port) || 443);
    if (source !== undefined && !isLoopback(source)) addresses.push(source);
  }
  return { isLocal: towards.every(isLoopback), addresses };
}

/** Whether one can listen there: lists of interfaces lack addresses that are routed to this machine as a whole network. */
function isOwn(address: Address): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createSocket(familyOf(address) === 4 ? "udp4" : "udp6");
  const finish = (own: boolean): void => void socket.close(() => resolve(own));
  socket.once("error", (fault: NodeJS.ErrnoException) => finish(fault.code !== "EADDRNOTAVAIL"));
  socket.bind({ address, port: 0, exclusive: true }, () => finish(true));
  return promise;
}

/** A resolver elsewhere that saw loopback saw its own proxy. */
function checkObserved(address: Address, resolverUrl: string): Address {
  const isWrong = isLoopback(address) && !isLoopbackHost(new URL(resolverUrl).hostname);
  if (isConnectable(address) && !isWrong) return address;
  const message = `the resolver sees ${address}, which is not this host's: it stands behind a proxy and has to be told so with --trusted-proxies; or name this host's addresses with --advertise`;
  throw new BerthError("no-address", message, { who: resolverUrl, retryable: true });
}

/** Where another machine's published ports are open. Throws as `siteAddresses` does. */
export async function addressesOfHost(hostname: string): Promise<SiteAddresses> {
  const found = await addressesOf(
    hostname,
    `the engine's host "${hostname}" has no address; check --engine, or name its addresses with advertise=`,
  );
  return siteAt([...new Set(found)]);
}

/** The resolver refuses a host that says otherwise. */
function siteAt(addresses: readonly Address[]): SiteAddresses {
  return { addresses, local: addresses.every(isLoopback) };
}

/**
 * Others cannot connect to a loopback address; it is right only where everything, the resolver too, is on one machine. So resolvers that
 * stand for each other are all on this machine, or none is: what is right to advertise must not depend on which one is asked.
 */
export function checkAdvertised(resolverUrls: readonly string[], advertise: Advertise): void {
  const local = resolverUrls.find((url) => isLoopbackHost(new URL(url).hostname));
  const remote = resolverUrls.find((url) => !isLoopbackHost(new URL(url).hostname));
  if (local !== undefined && remote !== undefined) {
    const message = `--resolver: ${local} is on this machine and ${remote} on another one, and this host would advertise other addresses to each; name this machine's resolver as other machines do`;
    throw new BerthError("bad-config", message);
  }
  const loopback = advertise === "observed" ? undefined : advertise.find(isLoopback);
  if (loopback === undefined || remote === undefined) return;
  const message = `--advertise: ${loopback} means every machine itself, and the resolver is on another one; name an address others can reach`;
  throw new BerthError("bad-config", message);
}

async function addressesOf(hostname: string, message: string): Promise<Address[]> {
  const literal = parseAddress(hostname.replace(/^\[|\]$/g, ""));
  if (literal !== undefined) return [literal];
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer within ${lookupLimitMs / 1000} s`)),
        lookupLimitMs,
      );
    });
    const found = await Promise.race([lookUp(hostname), late]);
    const addresses = found.flatMap(({ address }) => parseAddress(address) ?? []);
    if (addresses.length === 0) throw new Error("only addresses that cannot be read");
    return addresses;
  } catch (cause) {
    throw new BerthError("no-address", message, { who: hostname, retryable: true, cause });
  } finally {
    clearTimeout(timer);
  }
}

/** A look-up that is not waited for any more still holds a thread, of which there are few; so the next one waits for it. */
const underWay = new Map<string, ReturnType<typeof lookUp>>();

function lookUp(hostname: string): Promise<{ address: string }[]> {
  const looking =
    underWay.get(hostname) ?? lookup(hostname, { all: true }).finally(() => underWay.delete(hostname));
  underWay.set(hostname, looking);
  return looking;
}

async function loopbackAddresses(): Promise<Address[]> {
  const ipv6 = await sourceTowards("::1" as Address, 443);
  return ["127.0.0.1" as Address, ...(ipv6 === undefined ? [] : [ipv6])];
}

/** Connecting a UDP socket sends nothing; it only makes the kernel choose a route, and with it a source address. */
function sourceTowards(address: Address, port: number): Promise<Address | undefined> {
  const { promise, resolve } = Promise.withResolvers<Address | undefined>();
  const socket = createSocket(familyOf(address) === 4 ? "udp4" : "udp6");
  const finish = (source: string | undefined): void => {
    socket.close();
    const parsed = source === undefined ? undefined : parseAddress(source);
    // A link-local source (RFC 4291 §2.5.6) means another machine on every link.
    resolve(parsed === undefined || /^fe[89ab]/.test(parsed) ? undefined : parsed);
  };
  socket.once("error", () => finish(undefined));
  socket.once("connect", () => finish(socket.address().address));
  socket.connect(port, address);
  return promise;
}
