import type { Address } from "../../shared/address.ts";
import type { Binding, Problem } from "../../shared/binding.ts";
import type { Name } from "../../shared/name.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import type { SiteAddresses } from "../site.ts";

/** Everything the declared set is made of at one moment. */
export interface DeclareInput {
  /** Engine by engine, in the order the operator gave these; within one engine the order says nothing. */
  containers: readonly PlacedContainer[];
  /** Where the services declared in files are open: this machine's own advertised addresses. */
  site: SiteAddresses;
  /** What no engine reports; see services/. */
  services: readonly DeclaredService[];
  /** Open relays, by WantedRelay.key. */
  relays: ReadonlyMap<string, RelayState>;
  /** What our own checks say, by WantedCheck.key. */
  checks: ReadonlyMap<string, CheckState>;
  /** What those found wrong last, for explanations only. */
  checkFaults?: ReadonlyMap<string, string>;
  /** Names the registry does not grant, with its reason, for explanations only. */
  refusals?: ReadonlyMap<Name, string>;
  /** Ids of containers that come and go, or change their health, too often to be relied on. */
  flapping: ReadonlySet<string>;
}

export interface PlacedContainer {
  container: ContainerFacts;
  /** How people tell this engine from the host's others; "" where there is one. */
  engine: string;
  /** Where the engine's published ports are open. */
  site: SiteAddresses;
  /** Whether this machine can connect to the container's own addresses: not of a rootless engine, nor of one on another machine. */
  isNear: boolean;
  /** Its engine has ended and it dies with it: only its bindings with a fixed port may be declared. */
  fixedOnly?: boolean;
}

/** What the operator chose for the whole host. The same object from pass to pass: what is known of a container is kept as long as it is. */
export interface DeclareRules {
  zone: Name;
  hostLabel: string;
  /** The naming families that are read besides berth's own labels. */
  families: ReadonlySet<Family>;
  template: NameTemplate;
  /** Unpublished ports are relayed without being asked to by label. */
  publishUnpublished: boolean;
  /** False: no relay is ever opened, whatever labels ask for. */
  mayRelay: boolean;
  only: readonly Selector[];
  except: readonly Selector[];
}

/** Labels and variables of other programs, in falling precedence. */
export const families = ["registrator", "nginx-proxy", "traefik", "dnsdock"] as const;
export type Family = (typeof families)[number];

/** `--name-template`, parsed: alternatives, of which the first whose placeholders all have a value gives the name. */
export interface NameTemplate {
  alternatives: readonly (readonly TemplatePart[])[];
}
export type TemplatePart = { text: string } | { placeholder: string };

/** `label:KEY`, `label:KEY=VALUE` or `network:NAME`. */
export type Selector =
  | { kind: "label"; key: string; value: string | undefined }
  | { kind: "network"; name: string };

/** A port the agent is to listen at, and to relay to where no port is published. */
export interface WantedRelay {
  /** The same for the container's next run, so that it gets the same port again. */
  key: string;
  /** For messages. */
  container: string;
  /** The run of the container it is for, as `instanceOf` says it: what was begun with that goes on as long as it does. */
  run: string;
  protocol: Binding["protocol"];
  listen: readonly Address[];
  target: { address: Address; port: number };
}

export type RelayState = { kind: "open"; port: number } | { kind: "failed"; fault: string };

/** A check of our own: a connect to docker-proxy proves nothing, so it goes to the container's address. */
export interface WantedCheck {
  /** The same only while it is the same check of the same run. */
  key: string;
  container: string;
  /** undefined: a TCP connect. */
  httpPath: string | undefined;
  address: Address;
  port: number;
  intervalMs: number;
  timeoutMs: number;
  /** Nothing else tells whether it serves: while the check is not made, nobody may be led there. */
  isOnlyWitness?: true;
}

export type CheckState = Exclude<Binding["health"], "none">;

/** What a declared service is asked at each address it is to be declared at. */
export type ServiceCheck = Pick<WantedCheck, "httpPath" | "intervalMs" | "timeoutMs">;

/** A service that was declared in a file. */
export interface DeclaredService {
  /** Unique on this host, and the same while the service stays: `db.toml#1`. */
  id: string;
  names: readonly Name[];
  protocol: Binding["protocol"];
  servicePort: number;
  port: number;
  /** Where on this host it is open; undefined: on all advertised addresses. */
  addresses: readonly Address[] | undefined;
  /** undefined: declared as long as its file says so. */
  check: ServiceCheck | undefined;
  tls: boolean;
  txt: readonly string[];
  priority: number;
  weight: number;
}

export interface DeclareOutcome {
  bindings: Binding[];
  problems: Problem[];
  /** What is left out on purpose, for whoever looks for it. */
  notes: string[];
  relays: WantedRelay[];
  checks: WantedCheck[];
}
