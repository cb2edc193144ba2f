import { shareOf } from "../limits.ts";

/** What all UDP associations together, and those of one client address, may take. */
export interface UdpBudget {
  /** Takes a place; undefined when there is none left. What it gives back is to be called once. */
  association(client: string): (() => void) | undefined;
  /** A socket towards a destination: one descriptor. */
  upstream(client: string): (() => void) | undefined;
  /** Octets of datagrams that wait for their destination's name to be resolved. */
  waiting(octets: number): (() => void) | undefined;
}

export interface UdpBounds {
  associationsPerClient: number;
  upstreamsPerClient: number;
  upstreams: number;
  waitingOctets: number;
}

/** With 256 destinations an association and 256 associations a client, sockets run out long before either: hence their own bounds. */
export const standardUdpBounds: UdpBounds = {
  associationsPerClient: 256,
  upstreamsPerClient: 2_048,
  upstreams: 8_192,
  waitingOctets: 16 << 20,
};

export function createUdpBudget(bounds: UdpBounds): UdpBudget {
  const associations = new Map<string, number>();
  const upstreams = new Map<string, number>();
  let allUpstreams = 0;
  let waiting = 0;
  return {
    association: (client) => takeOne(associations, shareOf(client), bounds.associationsPerClient),
    upstream(client) {
      if (allUpstreams >= bounds.upstreams) return undefined;
      const giveBack = takeOne(upstreams, shareOf(client), bounds.upstreamsPerClient);
      if (giveBack === undefined) return undefined;
      allUpstreams++;
      return () => {
        allUpstreams--;
        giveBack();
      };
    },
    waiting(octets) {
      if (waiting + octets > bounds.waitingOctets) return undefined;
      waiting += octets;
      return () => {
        waiting -= octets;
      };
    },
  };
}

function takeOne(counts: Map<string, number>, client: string, most: number): (() => void) | undefined {
  const taken = counts.get(client) ?? 0;
  if (taken >= most) return undefined;
  counts.set(client, taken + 1);
  return () => {
    const left = (counts.get(client) ?? 1) - 1;
    // A client that has nothing left is not remembered.
    if (left === 0) counts.delete(client);
    else counts.set(client, left);
  };
}
