import type { Address } from "../../shared/address.ts";
import type { Binding } from "../../shared/binding.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { arrivalOf } from "../site.ts";
import type { AskedCheck } from "./asked-check.ts";
import { dialAddressOf, firstOf } from "./dial-address.ts";
import type { CheckState, PlacedContainer, WantedCheck } from "./input.ts";
import type { Declaration } from "./labels.ts";
import type { PortFault, ServicePort } from "./ports.ts";

type Health = Binding["health"];

/** What is to be checked, and what is known of each port so far. */
export interface HealthPlan {
  checks: WantedCheck[];
  faults: PortFault[];
  notes: string[];
  /** The worse of all that speaks of the port. */
  healthOf(port: ServicePort): Health;
}

export interface HealthQuestion {
  placed: PlacedContainer;
  declaration: Declaration;
  /** What other programs' labels ask for; `berth.check` replaces all of it. */
  familyChecks: readonly AskedCheck[];
  ports: readonly ServicePort[];
  networkOwner: ContainerFacts;
  states: ReadonlyMap<string, CheckState>;
  /** It comes and goes too often to be more than a last resort. */
  isFlapping: boolean;
}

/** More is an image that EXPOSEs a range. */
const mostChecks = 64;

/** Pure: the same question gives the same checks, with the same keys as long as the container's run and the check stay the same. */
export function healthPlanOf(question: HealthQuestion): HealthPlan {
  const { placed, declaration, familyChecks, ports, states, isFlapping } = question;
  const plan = { checks: [] as WantedCheck[], faults: [] as PortFault[], notes: [] as string[] };
  const ofWhole: Health[] = [declaration.ignoreHealth ? "none" : placed.container.health];
  if (isFlapping) ofWhole.push("unhealthy");
  const byPort = new Map<number, Health>();
  const own = declaration.check;
  const asked =
    own === "off"
      ? []
      : own === undefined
        ? [...familyChecks]
        : overPorts(own, declaration, ports, plan.faults);
  for (const check of asked.slice(0, mostChecks)) {
    const wanted = wantedCheck(question, check, plan);
    if (wanted === undefined) continue;
    plan.checks.push(wanted);
    // Not looked at yet: whatever it is, it has not been seen to serve.
    const state = states.get(wanted.key) ?? "starting";
    if (check.ofWhole) ofWhole.push(state);
    else if (check.port !== undefined) byPort.set(check.port, worse(byPort.get(check.port) ?? "none", state));
  }
  if (asked.length > mostChecks) plan.faults.push(tooMany(asked.length));
  const whole = ofWhole.reduce(worse);
  return {
    ...plan,
    healthOf: ({ protocol, containerPort }) =>
      protocol === "tcp" ? worse(whole, byPort.get(containerPort) ?? "none") : whole,
  };
}

const badness: Record<Health, number> = { none: 0, healthy: 1, starting: 2, unhealthy: 3 };

export function worse(left: Health, right: Health): Health {
  return badness[left] >= badness[right] ? left : right;
}

/** `berth.check` with its port said: a connect without one goes to each TCP port, a request to the one browsers would be led to. */
function overPorts(
  check: AskedCheck,
  { http }: Declaration,
  ports: readonly ServicePort[],
  faults: PortFault[],
): AskedCheck[] {
  if (check.port !== undefined) return [check];
  const tcp = ports.filter(({ protocol }) => protocol === "tcp");
  const inside = [...new Set(tcp.map(({ containerPort }) => containerPort))].toSorted((a, b) => a - b);
  if (check.httpPath === undefined) return inside.map((port) => ({ ...check, port }));
  const asked =
    tcp.find(({ servicePort }) => servicePort === http) ?? tcp.find(({ servicePort }) => servicePort === 80);
  const port = asked?.containerPort ?? inside[0];
  if (port !== undefined) return [{ ...check, port }];
  if (ports.length > 0)
    faults.push({
      code: "bad-label",
      message: "berth.check: the container has no TCP port to ask; say which with ,port=N",
    });
  return [];
}

/** To the container's own address, because docker-proxy takes a connection whatever listens behind it; else to where the port is open. */
function wantedCheck(
  { placed, declaration, networkOwner, ports }: HealthQuestion,
  check: AskedCheck,
  plan: { faults: PortFault[]; notes: string[] },
): WantedCheck | undefined {
  const { container, engine, isNear } = placed;
  const { port = 0, httpPath, intervalMs, timeoutMs } = check;
  const dial =
    isNear && networkOwner.networkMode !== "host"
      ? dialAddressOf(networkOwner, declaration.network)
      : undefined;
  const near = dial?.address;
  const fault = declaration.network === undefined ? undefined : dial?.fault;
  if (fault !== undefined && !plan.faults.some(({ message }) => message === fault))
    plan.faults.push({ code: "bad-label", message: fault });
  const target = near === undefined ? openAt(port, placed, networkOwner, ports) : { address: near, port };
  if (target === undefined) {
    const message = `port ${port} cannot be checked: this machine does not reach the container's own addresses, and the port is not published`;
    plan.faults.push({ code: "not-checked", message });
    return undefined;
  }
  if (near === undefined && networkOwner.networkMode !== "host")
    plan.notes.push(
      `port ${port} is checked where it is published, which proves less than a check of the container's own address`,
    );
  const key = [
    engine,
    container.id,
    container.startedAt,
    httpPath ?? "tcp",
    target.address,
    target.port,
    intervalMs,
    timeoutMs,
  ].join(" ");
  return { key, container: container.name, httpPath, ...target, intervalMs, timeoutMs };
}

function openAt(
  containerPort: number,
  { site }: PlacedContainer,
  { networkMode }: ContainerFacts,
  ports: readonly ServicePort[],
): { address: Address; port: number } | undefined {
  const open = ports.find((port) => port.protocol === "tcp" && port.containerPort === containerPort);
  // In the host's network every port is open where the host is, declared or not.
  const address = firstOf(open?.addresses ?? (networkMode === "host" ? site.addresses : []));
  return address === undefined
    ? undefined
    : { address: arrivalOf(site, address), port: open?.port ?? containerPort };
}

function tooMany(count: number): PortFault {
  const message = `${count} of its ports would be checked, and a container may have ${mostChecks} checks; say which with berth.check=tcp,port=N`;
  return { code: "too-many", message };
}
