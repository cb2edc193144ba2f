import { type Address, isUnspecified } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { nameserversIn, writerOf } from "../../shared/resolv-conf.ts";
import { type AddressRange, hostPartOf } from "./range.ts";

/** A DNS server that names outside the zones are asked of. */
export interface Upstream {
  address: Address;
  port: number;
}

/** The texts that say which servers this machine has; undefined for a file that is not there. */
export interface ServerLists {
  /** What programs read: /etc/resolv.conf. */
  system: string | undefined;
  /** The servers behind systemd-resolved's listener, by its own word. */
  resolved: string | undefined;
  /** The servers behind the dnsmasq that NetworkManager runs, by NetworkManager's. */
  networkManager: string | undefined;
}

/** What must never be asked, as it is this proxy. */
export interface OwnAddresses {
  dnsListen: ListenAddress;
  range: AddressRange;
}

/** resolv.conf(5) knows no other. */
const dnsPort = 53;
/**
 * Where systemd-resolved listens. It is never asked: names of a zone that it sends to this proxy, and that this proxy, told of other zones,
 * takes for outside, would go in a circle; and its own servers are known.
 */
const resolvedListeners: readonly string[] = ["127.0.0.53", "127.0.0.54"];

/**
 * The servers behind what programs ask, in their order. A forwarder on this machine that has been told to send names here stands for the
 * servers it says it asks; a local server of somebody's own is asked like any other.
 */
export function upstreamsFrom(lists: ServerLists, own: OwnAddresses): Upstream[] {
  const system = serversIn(lists.system, own);
  const isResolved = system.some(isResolvedListener);
  const direct = system.filter((address) => !isResolvedListener(address));
  const behind = [
    ...(isResolved || system.length === 0 ? serversIn(lists.resolved, own) : []),
    ...(isForwarder(direct, lists.system) ? serversIn(lists.networkManager, own) : []),
  ].filter((address) => !isResolvedListener(address));
  const found = behind.length > 0 ? behind : direct;
  return [...new Set(found)].map((address) => ({ address, port: dnsPort }));
}

function serversIn(text: string | undefined, own: OwnAddresses): Address[] {
  return nameserversIn(text ?? "").filter((address) => !isUnspecified(address) && !isOwn(address, own));
}

/** Every address of the range may be one this proxy listens at, or will. */
function isOwn(address: Address, { dnsListen, range }: OwnAddresses): boolean {
  return (
    (address === dnsListen.host && dnsListen.port === dnsPort) || hostPartOf(address, range) !== undefined
  );
}

function isResolvedListener(address: Address): boolean {
  return resolvedListeners.includes(address);
}

/** NetworkManager names its dnsmasq alone. Without any server, the C library asks this machine, and so it may be that dnsmasq too. */
function isForwarder(direct: readonly Address[], text: string | undefined): boolean {
  if (direct.length === 0) return true;
  const isLocal = direct.every((address) => address === "127.0.0.1" || address === "::1");
  return isLocal && writerOf(text ?? "") === "NetworkManager";
}
