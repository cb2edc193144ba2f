import type { Binding } from "../../shared/binding.ts";

/** A service port that stands in for 80 or 443, so that a browser needs no port in its URL. */
export interface HttpAlias {
  servicePort: 80 | 443;
  /** The TCP service port whose bindings answer. */
  backedBy: number;
  serves(binding: Binding): boolean;
}

/** Ports that speak TLS by registration (443) or by custom (8443): behind 80 they would answer plain HTTP with an alert. */
const tlsPorts = new Set([443, 8443]);

/**
 * `berth.http=<port>` says which port stands in for 80; without it a name with exactly one TCP service port, and no
 * real 80, gets one (443 for a port that speaks TLS). `berth.http=off` on any of its containers keeps the name as it is,
 * unless another one says a port.
 */
export function httpAliases(bindings: Binding[]): HttpAlias[] {
  const tcp = bindings.filter((binding) => binding.protocol === "tcp");
  // Hosts may choose differently; the lowest port is as good as any, and the same on every resolver.
  const chosen = tcp
    .filter((binding) => binding.http === true)
    .toSorted((a, b) => a.servicePort - b.servicePort)[0];
  if (chosen !== undefined) {
    if (chosen.servicePort === 80) return [];
    const serves = (binding: Binding) => binding.http === true;
    return [{ servicePort: 80, backedBy: chosen.servicePort, serves }];
  }
  const ports = [...new Set(tcp.map((binding) => binding.servicePort))];
  const only = ports[0];
  if (ports.length !== 1 || only === undefined || only === 80) return [];
  if (tcp.some((binding) => binding.http === false)) return [];
  const servicePort = tlsPorts.has(only) ? 443 : 80;
  return only === servicePort ? [] : [{ servicePort, backedBy: only, serves: () => true }];
}
