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
  const notes: string[] = [];
  const names = new Map<Name, FamilyName>();
  for (const { protocol, id, rule, service } of routers) {
    if (rule === undefined) continue;
    const shown = `traefik ${protocol} router ${id}`;
    const found = foreignNames(shown, hostsOfRule(rule), subject.zone);
    notes.push(...found.notes, ...patternsOfRule(rule).map((what) => `${shown}: ${what}`));
    const http = protocol === "http" ? (portOf(service, servicePorts) ?? lowestPort(subject)) : undefined;
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
  return tcp.length === 0 || tcp.includes(80) ? undefined : Math.min(...tcp);
}

const matcher = /(!\s*)?\b(Host|HostHeader|HostSNI|HostRegexp|HostSNIRegexp)\s*\(([^)]{0,2048})\)/gi;

/** The texts in Host(`a`, `b`) and HostSNI(`a`), in any quotes; what stands behind a "!" is where the router does not serve. */
function hostsOfRule(rule: string): string[] {
  return [...rule.slice(0, mostRule).matchAll(matcher)].flatMap(([, not, kind = "", inner = ""]) => {
    if (not !== undefined || /regexp$/i.test(kind)) return [];
    const texts = [...inner.matchAll(/[`"']([^`"']*)[`"']/g)].map(([, text = ""]) => text.trim());
    // HostSNI(`*`) is how Traefik writes a TCP router without names.
    return texts.filter((text) => text !== "" && !(text === "*" && /^hostsni$/i.test(kind)));
  });
}

/** More is no rule a person wrote. */
const mostRule = 16_384;

function patternsOfRule(rule: string): string[] {
  const kinds = [...rule.slice(0, mostRule).matchAll(matcher)].map(([, , kind = ""]) => kind);
  return [...new Set(kinds.filter((kind) => /regexp$/i.test(kind)))].map((kind) => `${kind} gives no name`);
}
