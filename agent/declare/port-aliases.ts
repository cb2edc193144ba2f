import type { PortAlias } from "./label-ports.ts";
import { displayPort, type PortFault, type ServicePort } from "./ports.ts";

/**
 * The ports with those that `berth.port.*` adds. Where an alias has the number of another port of the container, the alias is what
 * clients are led to: somebody wrote it. `pending` are ports whose relay is still being opened, which is no fault.
 */
export function underAliases(
  ports: readonly ServicePort[],
  aliases: readonly PortAlias[],
  pending: ReadonlySet<string>,
): { ports: ServicePort[]; faults: PortFault[]; notes: string[] } {
  const faults: PortFault[] = [];
  const notes: string[] = [];
  const added: ServicePort[] = [];
  const hidden = new Set<string>();
  for (const { protocol, servicePort, containerPort } of aliases) {
    const own = { protocol, containerPort: servicePort };
    const led = ports.filter((port) => port.protocol === protocol && port.containerPort === containerPort);
    if (led.length === 0) {
      const target = displayPort({ protocol, containerPort });
      if (!pending.has(target)) faults.push(leadsNowhere(displayPort(own), target));
    } else if (servicePort !== containerPort) {
      added.push(...led.map((port) => ({ ...port, servicePort })));
      if (!ports.some((port) => displayPort(port) === displayPort(own))) continue;
      hidden.add(displayPort(own));
      notes.push(`port ${displayPort(own)} itself is hidden by berth.port.${servicePort}`);
    }
  }
  return { ports: [...ports.filter((port) => !hidden.has(displayPort(port))), ...added], faults, notes };
}

function leadsNowhere(own: string, target: string): PortFault {
  const message = `service port ${own} leads to container port ${target}, which is not published; publish it, for example with -p, or have it relayed with berth.publish=${target}`;
  return { code: "no-port", message };
}
