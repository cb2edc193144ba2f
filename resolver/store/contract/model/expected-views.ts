import type { Refusal } from "../../../../shared/binding.ts";
import type { HostList, NameList, ServiceList } from "../../../../shared/registry-views.ts";
import type { RegistryModel } from "./registry-model.ts";
import { byTurn, type ModelHost, type ModelRefusal, wishesFor } from "./state.ts";
import { relative } from "./universe.ts";

/** What people are shown, in a form that model and registry can both be brought to. */
export interface Views {
  hosts: { leaseRemaining: number }[];
  services: unknown[];
  names: { name: string; since: number; until: number | null; rest: unknown }[];
}

export function expectedViews(model: RegistryModel): Views {
  return { hosts: expectedHosts(model), services: expectedServices(model), names: expectedNames(model) };
}

/** `start` is what the registry's clock showed when the history began; undefined while no hold told. */
export function seenViews(
  hosts: HostList["hosts"],
  services: ServiceList["services"],
  names: NameList["names"],
  start: number,
): Views {
  return {
    hosts: hosts.map(({ refused, problems: _, local: __, ...host }) => {
      return { ...host, refused: seenRefusals(refused) };
    }),
    services: services.map(({ name, ports }) => ({
      name: relative(name),
      ports: ports.map((port) => ({ ...port, endpoints: port.endpoints.map(textOf).toSorted() })),
    })),
    names: names.map(({ name, since, until, ...rest }) => ({
      name: relative(name),
      since: since - start,
      until: until === null ? null : until - start,
      rest,
    })),
  };
}

export function seenRefusals(refused: Refusal[]): unknown[] {
  return refused.map(({ name, code, holder }) => ({ name: relative(name), code, holder }));
}

export function expectedRefusals(host: ModelHost): unknown[] {
  const refused = [...host.claims].flatMap(([name, { refusal }]) =>
    refusal === undefined ? [] : [{ name, ...shownOf(refusal) }],
  );
  return refused.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function shownOf({ code, holder }: ModelRefusal) {
  return { code, holder };
}

function expectedHosts(model: RegistryModel): Views["hosts"] {
  const hosts = [...model.hosts.values()].toSorted((a, b) => (a.label < b.label ? -1 : 1));
  return hosts.map((host) => ({
    hostId: host.hostId,
    epoch: host.epoch,
    digest: host.digest,
    lease: host.lease,
    declaredLabel: host.declared.hostLabel,
    hostLabel: host.label,
    addresses: host.addresses,
    bindings: host.declared.bindings.length,
    tokenId: host.token.tokenId,
    owner: host.token.owner,
    leaseRemaining: model.leaseRemaining(host.hostId),
    refused: expectedRefusals(host),
  }));
}

function expectedServices(model: RegistryModel): unknown[] {
  const names = [...model.hosts.values()].flatMap(({ claims }) => [...claims.keys()]);
  return [...new Set(names)].toSorted().flatMap((name) => {
    const granted = wishesFor(model, name).filter(({ claim }) => claim.refusal === undefined);
    const placed = granted.flatMap(({ host, claim }) =>
      claim.bindings.map((binding) => ({ ...binding, hostLabel: host.label })),
    );
    const endpoints = placed.map((one) => {
      const group = placed.filter(({ servicePort }) => servicePort === one.servicePort);
      const hasBetter = group.some(({ health }) => health === "healthy" || health === "none");
      const isHidden = one.health === "starting" || (one.health === "unhealthy" && hasBetter);
      return {
        servicePort: one.servicePort,
        text: textOf({ ...one, hidden: isHidden ? one.health : undefined }),
      };
    });
    const ports = [...Map.groupBy(endpoints, ({ servicePort }) => servicePort)]
      .toSorted(([a], [b]) => a - b)
      .map(([servicePort, group]) => {
        return { protocol: "tcp", servicePort, endpoints: group.map(({ text }) => text).toSorted() };
      });
    return ports.length === 0 ? [] : [{ name, ports }];
  });
}

function expectedNames(model: RegistryModel): Views["names"] {
  const holds = [...model.holds].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return holds.map(([name, { owner, hostLabel, isExclusive, since, until }]) => {
    const waiting = wishesFor(model, name)
      .filter(({ claim }) => claim.refusal?.code === "held")
      .toSorted(byTurn)
      .map(({ host }) => ({ hostLabel: host.label, owner: host.token.owner }));
    return { name, since, until: until ?? null, rest: { owner, hostLabel, exclusive: isExclusive, waiting } };
  });
}

type SeenEndpoint = ServiceList["services"][number]["ports"][number]["endpoints"][number];

function textOf({ hostLabel, container, addresses, port, fixed, ...state }: SeenEndpoint): string {
  const { health, tls, txt, hidden } = state;
  return JSON.stringify([hostLabel, container, addresses, port, fixed, health, tls, txt, hidden]);
}
