import type { Address } from "../address.ts";
import { type Name, nameBelow } from "../name.ts";
import { RRType } from "./constants.ts";
import type { Rdata, Response, RR } from "./message.ts";

/** The one place that knows which RR types carry host and port, and at which owner names. */

export type Protocol = "tcp" | "udp";

/**
 * Where a client can connect; lower priority first, weight shares the load within a priority (RFC 2782). Weight is per SRV RR: a target
 * with several addresses divides its own among them, so it may be a fraction.
 */
export interface Endpoint {
  address: Address;
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

/** SRV targets joined with their addresses. `unresolved` are the targets whose addresses the answer did not bring along. */
export function endpointsFromAnswer(response: Response): { endpoints: Endpoint[]; unresolved: Name[] } {
  const addresses = addressesByOwner([...response.answer, ...response.additional]);
  const endpoints: Endpoint[] = [];
  const unresolved = new Set<Name>();
  for (const { rdata } of response.answer) {
    // A target of "." says the service is decidedly not available (RFC 2782).
    if (rdata.type !== RRType.SRV || rdata.target === ".") continue;
    const { priority, weight, port, target } = rdata;
    const found = addresses.get(target);
    if (found === undefined) unresolved.add(target);
    const share = weight / (found?.length ?? 1);
    for (const address of found ?? []) endpoints.push({ address, port, priority, weight: share });
  }
  return { endpoints, unresolved: [...unresolved] };
}

/** The A and AAAA RRs of an answer, in its order. */
export function addressesFromAnswer(response: Response): Address[] {
  return [...addressesByOwner(response.answer).values()].flat();
}

/** The service ports a PTR answer at `_tcp.<name>` lists, ascending. */
export function servicePortsFromAnswer(response: Response): number[] {
  const ports = response.answer.flatMap(({ rdata }) => {
    const port = rdata.type === RRType.PTR ? /^_(\d{1,5})\./.exec(rdata.target)?.[1] : undefined;
    return port === undefined ? [] : [Number(port)];
  });
  return ports.toSorted((a, b) => a - b);
}

function addressesByOwner(records: RR[]): Map<Name, Address[]> {
  const byOwner = new Map<Name, Address[]>();
  for (const { name, rdata } of records) {
    if (rdata.type !== RRType.A && rdata.type !== RRType.AAAA) continue;
    const known = byOwner.get(name) ?? [];
    if (!known.includes(rdata.address)) known.push(rdata.address);
    byOwner.set(name, known);
  }
  return byOwner;
}
