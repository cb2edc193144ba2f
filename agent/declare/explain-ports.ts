import { formatEndpoint } from "../../shared/address.ts";
import type { Binding } from "../../shared/binding.ts";
import type { ContainerFacts } from "../engine/facts.ts";
import { type Examination, speaksTls } from "./examine.ts";
import type { DeclareInput } from "./input.ts";
import { displayPort, type PortKey } from "./ports.ts";

/** Where each port leads, and why an EXPOSEd one leads nowhere. */
export function portLines(container: ContainerFacts, { ports, declaration, health }: Examination): string[] {
  const open = ports.ports.map((port) => {
    const { protocol, servicePort, containerPort, addresses, port: hostPort, fixed } = port;
    const inside = servicePort === containerPort ? "" : ` (container port ${containerPort})`;
    const where = addresses.map((address) => formatEndpoint({ address, port: hostPort })).join(", ");
    const facts = [
      fixed ? "stays over restarts" : "ephemeral",
      ...(speaksTls(declaration, port) ? ["speaks TLS"] : []),
      healthWords(health?.healthOf(port) ?? "none"),
    ];
    return `  port ${servicePort}/${protocol}${inside} leads to ${where}: ${facts.join(", ")}`;
  });
  const relayed = ports.relays.map(({ protocol, target }) => ({ protocol, containerPort: target.port }));
  return [...open, ...hiddenLines(container, [...ports.ports, ...relayed])];
}

/** With what the resolver makes of it. */
export function healthWords(health: Binding["health"]): string {
  if (health === "starting") return "health starting, so hidden until the first good answer";
  if (health === "unhealthy") return "health unhealthy, so used only while no other instance serves";
  return `health ${health}`;
}

function hiddenLines({ exposed, ports, networkMode }: ContainerFacts, open: readonly PortKey[]): string[] {
  const reached = new Set([...open, ...ports].map(displayPort));
  const unpublished = exposed.filter((key) => !reached.has(displayPort(key)));
  if (networkMode === "host")
    return unpublished.map(
      (key) => `  port ${displayPort(key)} is hidden: berth.port says which ports there are`,
    );
  return unpublished.map(
    (key) =>
      `  port ${displayPort(key)} is EXPOSEd and not published, so it leads nowhere; -p publishes it, berth.publish=true relays it`,
  );
}

export function relayLines({ ports }: Examination, { relays }: DeclareInput): string[] {
  return ports.relays.map(({ key, target, protocol }) => {
    const state = relays.get(key);
    const shown =
      state === undefined
        ? "being opened"
        : state.kind === "open"
          ? `open at port ${state.port}`
          : `failed: ${state.fault}`;
    return `  relay to ${formatEndpoint(target)}/${protocol}: ${shown}`;
  });
}

export function checkLines(
  container: ContainerFacts,
  { health, declaration }: Examination,
  { checks, checkFaults }: DeclareInput,
): string[] {
  const ignored =
    declaration.ignoreHealth && container.health !== "none"
      ? ["  its HEALTHCHECK is ignored: berth.health=ignore"]
      : [];
  const lines = (health?.checks ?? []).map((check) => {
    const how = check.httpPath === undefined ? "TCP connect to" : `GET ${check.httpPath} from`;
    const state = checks.get(check.key) ?? "not made yet, so starting";
    const fault = checkFaults?.get(check.key);
    const why = fault === undefined ? "" : ` (${fault})`;
    return `  check, ${how} ${formatEndpoint(check)} every ${check.intervalMs / 1000} s: ${state}${why}`;
  });
  return [...ignored, ...lines];
}
