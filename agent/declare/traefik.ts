import type { Name } from "../../shared/name.ts";
import type { FamilyName, FamilyReading, FamilySubject, NamingFamily } from "./families.ts";
import { foreignNames } from "./foreign-name.ts";
import { flagFrom, portFrom } from "./label-values.ts";

const router = /^traefik\.(http|tcp)\.routers\.([^.]+)\.(rule|service)$/i;
const server = /^traefik\.(http|tcp)\.services\.([^.]+)\.loadbalancer\.server\.port$/i;

/** Traefik's labels: the names in routers' Host() and HostSNI() rules; a router's service says which port answers for them on 80. */
export const traefik: NamingFamily = {
  family: "traefik",
  readsLabel: (key) => router.test(key) || server.test(key) || key.toLowerCase() === "traefik.enable",
  readsVariable: () => false,
  read,
};

interface Router {
  protocol: string;
  id: string;
  rule: string | undefined;
  service: string | undefined;
}

function read(subject: FamilySubject): FamilyReading {
  const { routers, servicePorts, enable } = labelsOf(subject.container.labels);
  const nothing = { ignored: undefined, names: [], checks: [], notes: [] };
  if (enable !== undefined && flagFrom(enable) === false)
    return { ...nothing, ignored: "traefik.enable is false" };
  const lowest = lowestPort(subject);
  const notes: string[] = [];
  const names = new Map<Name, FamilyName>();
  for (const { protocol, id, rule, service } of routers) {
    if (rule === undefined) continue;
    const shown = `traefik ${protocol} router ${id}`;
    const said = hostsOfRule(rule);
    const found = foreignNames(shown, said.hosts, subject.zone);
    notes.push(...found.notes, ...said.notes.map((what) => `${shown}: ${what}`));
    const http = protocol === "http" ? (portOf(service, servicePorts) ?? lowest) : undefined;
    for (const name of found.names) names.set(name, names.get(name) ?? { name, ports: undefined, http });
  }
  return { ignored: undefined, names: [...names.values()], checks: [], notes };
}

/** Traefik reads its labels in any case. Routers come sorted: of two with one name the first says its port. */
function labelsOf(labels: Readonly<Record<string, string>>): {
  routers: Router[];
  servicePorts: Map<string, string>;
  enable: string | undefined;
} {
  const routers = new Map<string, Router>();
  const servicePorts = new Map<string, string>();
  let enable: string | undefined;
  for (const [label, text] of Object.entries(labels).toSorted(([left], [right]) => (left < right ? -1 : 1))) {
    const key = label.toLowerCase();
    const [, protocol = "", id = "", what] = router.exec(key) ?? [];
    const [, , service] = server.exec(key) ?? [];
    if (key === "traefik.enable") enable = text;
    if (service !== undefined && key.startsWith("traefik.http.")) servicePorts.set(service, text);
    if (what === undefined) continue;
    const known = routers.get(`${protocol} ${id}`) ?? { protocol, id, rule: undefined, service: undefined };
    routers.set(`${protocol} ${id}`, { ...known, [what]: text });
  }
  return { routers: [...routers.values()], servicePorts, enable };
}

/** A router that names no service uses the container's only one. `web@docker` is the service web, as another provider calls it. */
function portOf(service: string | undefined, servicePorts: ReadonlyMap<string, string>): number | undefined {
  const only = servicePorts.size === 1 ? [...servicePorts.values()][0] : undefined;
  const text = service === undefined ? only : servicePorts.get(service.toLowerCase().replace(/@docker$/, ""));
  return text === undefined ? undefined : portFrom(text);
}

/** As Traefik chooses when no port is said; a real port 80 needs nobody to stand in for it. */
function lowestPort({ ports }: FamilySubject): number | undefined {
  const tcp = ports.filter(({ protocol }) => protocol === "tcp").map(({ containerPort }) => containerPort);
  const lowest = tcp.reduce((least, port) => Math.min(least, port), Number.POSITIVE_INFINITY);
  return tcp.length === 0 || tcp.includes(80) ? undefined : lowest;
}

/**
 * A matcher and what stands between its brackets, where no other bracket stands there. Each character is looked at once or twice whatever
 * the rule says: a text of `Host(Host(Host(` must not hold up the whole agent.
 */
const matcher = /(!\s*)?\b(Host|HostHeader|HostSNI|HostRegexp|HostSNIRegexp)\s*\((?:([^()]*)\))?/gi;

/** More is no rule a person wrote. */
const mostRule = 16_384;

/** The texts in Host(`a`, `b`) and HostSNI(`a`), in any quotes; what stands behind a "!" is where the router does not serve. */
function hostsOfRule(rule: string): { hosts: string[]; notes: string[] } {
  const hosts: string[] = [];
  const notes = new Set<string>();
  for (const [, not, kind = "", inner] of rule.slice(0, mostRule).matchAll(matcher)) {
    if (/regexp$/i.test(kind)) notes.add(`${kind} gives no name`);
    else if (not === undefined && inner === undefined)
      notes.add(`${kind} has no closing bracket, or others inside`);
    else if (not === undefined) hosts.push(...hostsIn(inner ?? "", kind));
  }
  return { hosts, notes: [...notes] };
}

function hostsIn(inner: string, kind: string): string[] {
  const texts = [...inner.matchAll(/[`"']([^`"']*)[`"']/g)].map(([, text = ""]) => text.trim());
  // HostSNI(`*`) is how Traefik writes a TCP router without names.
  return texts.filter((text) => text !== "" && !(text === "*" && /^hostsni$/i.test(kind)));
}
