import { type Address, formatEndpoint } from "../../shared/address.ts";
import type { Problem } from "../../shared/binding.ts";
import { labelsOf } from "../../shared/name.ts";
import { problemOf } from "../problem.ts";
import { advertisedFor, arrivalOf, type SiteAddresses } from "../site.ts";
import type { CheckState, DeclaredService, DeclareInput, DeclareRules, WantedCheck } from "./input.ts";
import { hostOwnName, type RuledName } from "./names.ts";
import { bindingsOf, type Offer, type OfferParts, octetsOf, sizeOf } from "./offers.ts";
import type { ServicePort } from "./ports.ts";

export interface OfferedServices {
  offers: Offer[];
  checks: WantedCheck[];
  problems: Problem[];
  notes: string[];
}

/**
 * What the services declared in files claim. One with a check is declared at those addresses alone where the check says healthy: nobody
 * else vouches for it. Each has its names, and the first label of the first one below the host, where no container has that.
 */
export function offersOfServices(
  { services, site, checks }: Pick<DeclareInput, "services" | "site" | "checks">,
  rules: Pick<DeclareRules, "zone" | "hostLabel">,
): OfferedServices {
  const found: OfferedServices = { offers: [], checks: [], problems: [], notes: [] };
  for (const service of services.toSorted((left, right) => (left.id < right.id ? -1 : 1))) {
    const elsewhere = (service.addresses ?? []).filter(
      (address) => advertisedFor(site, address).length === 0,
    );
    if (elsewhere.length > 0) found.problems.push(notAdvertised(service.id, elsewhere, site.addresses));
    const wanted = checksOfService(service, site);
    found.checks.push(...wanted);
    const healthy = healthyIn(wanted, checks, found);
    const open = addressesOf(service, site).filter(
      (address) => service.check === undefined || healthy.has(arrivalOf(site, address)),
    );
    const health = service.check === undefined ? "none" : "healthy";
    if (open.length > 0) found.offers.push(offerOf(service, [...open].toSorted(), health, rules));
  }
  return found;
}

/**
 * One check for each address the service is to be declared at, made where that arrives: who listens at 127.0.0.1 need not listen there,
 * nor the other way round.
 * The keys say what is asked of whom and not where the file says it, so that an entry's neighbours may come and go.
 */
export function checksOfService(service: DeclaredService, site: SiteAddresses): WantedCheck[] {
  const { id, names, protocol, port, check } = service;
  if (check === undefined) return [];
  const { httpPath, intervalMs, timeoutMs } = check;
  const asked = `${httpPath ?? "tcp"} ${intervalMs} ${timeoutMs} ${names.toSorted().join(" ")}`;
  const arrivals = new Set(addressesOf(service, site).map((address) => arrivalOf(site, address)));
  return [...arrivals].map((address) => {
    const key = `service ${protocol} ${address} ${port} ${asked}`;
    return { key, container: id, httpPath, address, port, intervalMs, timeoutMs, isOnlyWitness: true };
  });
}

function addressesOf({ addresses }: DeclaredService, site: SiteAddresses): Address[] {
  return [...new Set((addresses ?? site.addresses).flatMap((address) => advertisedFor(site, address)))];
}

function healthyIn(
  wanted: readonly WantedCheck[],
  states: DeclareInput["checks"],
  { notes }: OfferedServices,
): Set<Address> {
  const isHealthy = ({ key }: WantedCheck): boolean => states.get(key) === "healthy";
  for (const check of wanted) {
    if (isHealthy(check)) continue;
    const place = formatEndpoint(check);
    notes.push(
      `${check.container}: its check has not found it healthy at ${place}, so it is not declared there`,
    );
  }
  return new Set(wanted.filter(isHealthy).map(({ address }) => address));
}

function notAdvertised(id: string, elsewhere: readonly Address[], own: readonly Address[]): Problem {
  const message = `its address ${elsewhere.join(", ")} is none this host advertises (it advertises ${own.join(", ")}); give one of these, or name the address with --advertise`;
  return problemOf(id, "not-advertised", message);
}

function offerOf(
  service: DeclaredService,
  addresses: Address[],
  health: CheckState | "none",
  rules: Pick<DeclareRules, "zone" | "hostLabel">,
): Offer {
  const { id, protocol, servicePort, port, tls, txt, priority, weight } = service;
  const open: ServicePort = {
    protocol,
    containerPort: servicePort,
    servicePort,
    addresses,
    port,
    fixed: true,
  };
  const shown = id.slice(0, 255);
  const parts: OfferParts = {
    names: namesOf(service, rules),
    ports: [open],
    http: undefined,
    bindingOf: () => ({
      ...{ protocol, servicePort, addresses, port, fixed: true },
      // A file's entry runs as long as it stands: its check says when it does not.
      ...{ container: shown, instance: id.slice(0, 160), health, priority, weight },
      ...(tls ? { tls: true as const } : {}),
      ...(txt.length > 0 ? { txt: [...txt] } : {}),
    }),
  };
  const offer = { shown, called: `service ${id}`, place: "", key: `service ${id}`, compose: undefined };
  const size = { size: sizeOf(parts), octets: octetsOf(parts), portCount: 1, names: parts.names };
  return { ...offer, ...size, yieldsHostName: true, bindings: () => bindingsOf(parts) };
}

function namesOf({ names }: DeclaredService, rules: Pick<DeclareRules, "zone" | "hostLabel">): RuledName[] {
  const own = names.map((name): RuledName => ({ name, rule: "label", ports: undefined, http: undefined }));
  const first = names[0] === undefined ? undefined : labelsOf(names[0])[0];
  if (first === undefined) return own;
  try {
    return [...own, hostOwnName(first, rules)];
  } catch {
    // Too long below the host: the names it was given are what people look for.
    return own;
  }
}
