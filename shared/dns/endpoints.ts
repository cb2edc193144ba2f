import type { Address } from "../address.ts";
import { type Name, nameBelow } from "../name.ts";
import { RRType } from "./constants.ts";
import type { Rdata, Response, RR } from "./message.ts";

/** The one place that knows which RR types carry host and port, and at which owner names. */

export type Protocol = "tcp" | "udp";

/**
 * Where a client can connect, as one SRV RR says: at `port` of its target's addresses, of which there is at least one. Lower priority
 * first, weight shares the load within a priority (RFC 2782).
 */
export interface Endpoint {
  addresses: readonly Address[];
  port: number;
  priority: number;
  weight: number;
}

/** `_80._tcp.<name>`: where the SRV RRset of a service port stands. */
export function serviceOwner(name: Name, protocol: Protocol, servicePort: number): Name {
  return nameBelow(`_${servicePort}._${protocol}`, name);
}

/** `_tcp.<name>`: exists exactly while the name has service ports of that protocol; its PTR RRset lists their owner names. */
export function portListOwner(name: Name, protocol: Protocol): Name {
  return nameBelow(`_${protocol}`, name);
}

export function addressRdata(address: Address): Rdata {
  return { type: address.includes(":") ? RRType.AAAA : RRType.A, address };
}

/**
 * SRV RRs joined with their targets' addresses; RRs with one target share one list, so that the result is never longer than the answer.
 * `unresolved` are the targets whose addresses the answer did not bring along.
 */
export function endpointsFromAnswer(response: Response): { endpoints: Endpoint[]; unresolved: Name[] } {
  const addresses = addressesByOwner([...response.answer, ...response.additional]);
  const endpoints: Endpoint[] = [];
  const unresolved = new Set<Name>();
  for (const { rdata } of response.answer) {
    // A target of "." says the service is decidedly not available (RFC 2782); at port 0 nobody can be connected to (RFC 6335 §6).
    if (rdata.type !== RRType.SRV || rdata.target === "." || rdata.port === 0) continue;
    const { priority, weight, port, target } = rdata;
    const found = addresses.get(target);
    if (found === undefined) unresolved.add(target);
    else endpoints.push({ addresses: found, port, priority, weight });
  }
  return { endpoints, unresolved: [...unresolved] };
}

/** The A and AAAA RRs of an answer, in its order. */
export function addressesFromAnswer(response: Response): Address[] {
  return [...addressesByOwner(response.answer).values()].flat();
}

/** The service ports a PTR answer at `_tcp.<name>` lists, ascending. */
export function servicePortsFromAnswer(response: Pick<Response, "answer">): number[] {
  const ports = response.answer.flatMap(({ rdata }) => {
    const port = rdata.type === RRType.PTR ? /^_(\d{1,5})\./.exec(rdata.target)?.[1] : undefined;
    return port === undefined ? [] : [Number(port)];
  });
  return ports.toSorted((a, b) => a - b);
}

function addressesByOwner(records: RR[]): Map<Name, Address[]> {
  const byOwner = new Map<Name, Set<Address>>();
  for (const { name, rdata } of records) {
    if (rdata.type !== RRType.A && rdata.type !== RRType.AAAA) continue;
    const known = byOwner.get(name);
    if (known === undefined) byOwner.set(name, new Set([rdata.address]));
    else known.add(rdata.address);
  }
  return new Map([...byOwner].map(([owner, addresses]) => [owner, [...addresses]]));
}
