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
 * `berth.http=<port>` says which port stands in for 80, or for 443 where it is declared to speak TLS; without it a name with exactly one
 * TCP service port, and no real 80, gets one (443 for a port that speaks TLS). `berth.http=off` on any of its containers keeps the name as
 * it is, unless another one says a port.
 */
export function httpAliases(bindings: Binding[]): HttpAlias[] {
  const tcp = bindings.filter((binding) => binding.protocol === "tcp");
  const ports = [...new Set(tcp.map((binding) => binding.servicePort))];
  // Hosts may choose differently; the lowest port is as good as any, and the same on every resolver.
  const chosen = tcp
    .filter((binding) => binding.http === true)
    .toSorted((a, b) => a.servicePort - b.servicePort)[0];
  if (chosen !== undefined) return aliasFor(chosen.servicePort, tcp, ports);
  const only = ports[0];
  if (ports.length !== 1 || only === undefined || only === 80) return [];
  if (tcp.some((binding) => binding.http === false)) return [];
  const secure = tcp.filter(speaksTls);
  if (secure.length === 0) return [{ servicePort: 80, backedBy: only, serves: () => true }];
  return only === 443 ? [] : [{ servicePort: 443, backedBy: only, serves: speaksTls }];
}

/** For the port that was chosen: what says TLS of itself never stands in for 80, and a real 443 stays what it is. */
function aliasFor(backedBy: number, tcp: Binding[], ports: number[]): HttpAlias[] {
  const choice = tcp.filter((binding) => binding.http === true && binding.servicePort === backedBy);
  if (choice.some(({ tls }) => tls)) {
    const serves = (binding: Binding) => binding.http === true && binding.tls === true;
    return ports.includes(443) ? [] : [{ servicePort: 443, backedBy, serves }];
  }
  const serves = (binding: Binding) => binding.http === true;
  return backedBy === 80 ? [] : [{ servicePort: 80, backedBy, serves }];
}

function speaksTls({ servicePort, tls }: Binding): boolean {
  return tls === true || tlsPorts.has(servicePort);
}
