import { readFileSync } from "node:fs";

import { type OpenLink, openLink } from "./fleet-links.ts";
import { takeOrders } from "./orders.ts";
import { allAtOnce, exchange, mustBeAccepted, openWay, paced } from "./signed-exchange.ts";
import {
  makeHost,
  type SignedHost,
  type SignedRequest,
  signChange,
  signLink,
  signPush,
  signRenewal,
} from "./signed-hosts.ts";

/** Hosts with keys of their own that register, renew, change and fall silent. Everything is signed before an order's clock starts. */

interface Target {
  origin: string;
  caFile: string;
  tokenFile: string;
}

let hosts: SignedHost[] = [];
let origin: string;
let ca: Buffer;
let signed: SignedRequest[] = [];
const links = new Map<number, OpenLink>();

const orders = {
  /** Makes the hosts, and learns for which life of the registry they have to sign. */
  async make({ target, count }: { target: Target; count: number }): Promise<void> {
    origin = target.origin;
    ca = readFileSync(target.caFile);
    const access = {
      url: origin,
      token: readFileSync(target.tokenFile, "utf8").trim(),
      generation: { current: "" },
    };
    hosts = await Promise.all(Array.from({ length: count }, (_, index) => makeHost(index, access)));
    const first = hosts[0];
    if (first === undefined) throw new Error("no hosts");
    const { status, text } = await exchange(openWay(origin, ca, 1, false), await signRenewal(first, 15));
    const { generation } = (JSON.parse(text) as { error: { generation?: string } }).error;
    if (generation === undefined) throw new Error(`no generation was told (HTTP ${status}): ${text}`);
    access.generation.current = generation;
  },

  async signPushes({ lease }: { lease: number }): Promise<void> {
    signed = await Promise.all(hosts.map((host) => signPush(host, lease)));
  },

  /** Renewals of all hosts in turn, beginning with the one at `from`. */
  async signRenewals({ from, count, lease }: { from: number; count: number; lease: number }): Promise<void> {
    signed = [];
    for (let index = from; index < from + count; index++)
      signed.push(await signRenewal(hostAt(index), lease));
  },

  /** Of hosts from all over the fleet in turn, one moved port each. */
  async signChanges({ count, lease }: { count: number; lease: number }): Promise<void> {
    signed = [];
    for (let index = 0; index < count; index++) {
      const host = (index * 37) % hosts.length;
      signed.push(await signChange(hostAt(host), host, lease));
    }
  },

  /** What was signed last, as fast as `connections` take it. */
  async sendAll({ connections }: { connections: number }) {
    const way = openWay(origin, ca, connections, true);
    const startedAt = performance.now();
    const ms = await allAtOnce(signed, connections, (one) => mustBeAccepted(way, one));
    way.agent.destroy();
    return { ms, seconds: (performance.now() - startedAt) / 1000 };
  },

  /** The same at an even pace; without `keepAlive` each over a connection of its own. */
  async sendPaced({
    perSecond,
    connections,
    keepAlive,
  }: {
    perSecond: number;
    connections: number;
    keepAlive: boolean;
  }) {
    const way = openWay(origin, ca, connections, keepAlive);
    const ms = await paced(signed, perSecond, (one) => mustBeAccepted(way, one));
    way.agent.destroy();
    return { ms };
  },

  /** A link for every host. */
  async openLinks({ lease, atOnce }: { lease: number; atOnce: number }) {
    const requests = await Promise.all(hosts.map((host) => signLink(host, lease)));
    const ms = await allAtOnce([...requests.entries()], atOnce, async ([index, request]) => {
      const startedAt = performance.now();
      links.set(index, await openLink(request, { origin, ca }, index));
      return performance.now() - startedAt;
    });
    return { ms };
  },

  /** Pings on the links of all hosts in turn. */
  async pingPaced({ count, perSecond }: { count: number; perSecond: number }) {
    const indices = Array.from({ length: count }, (_, index) => index % hosts.length);
    return { ms: await paced(indices, perSecond, (index) => linkAt(index).ping()) };
  },

  /** Pings of hosts `from` to `to` - 1 in the same moment, so that their leases end in the same moment; then their links are gone. */
  async fallSilent({ from, to }: { from: number; to: number }): Promise<void> {
    const indices = Array.from({ length: to - from }, (_, index) => from + index);
    await Promise.all(indices.map((index) => linkAt(index).ping()));
    for (const index of indices) {
      linkAt(index).drop();
      links.delete(index);
    }
  },
};

export type FleetOrders = typeof orders;
takeOrders(orders);

function hostAt(index: number): SignedHost {
  const host = hosts[index % hosts.length];
  if (host === undefined) throw new Error(`there is no host ${index}`);
  return host;
}

function linkAt(index: number): OpenLink {
  const link = links.get(index);
  if (link === undefined) throw new Error(`host ${index} has no link`);
  return link;
}
