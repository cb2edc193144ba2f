import { flagFrom, portFrom, portKeyFrom, type TakeFault, wordsOf } from "./label-values.ts";
import type { PortKey } from "./ports.ts";

/** `berth.port.<service port>[/udp]=<container port>`: clients ask for the one, and are led to the other. */
export interface PortAlias extends PortKey {
  servicePort: number;
}

/** More are no labels a person wrote. */
const mostAliases = 64;

/** Reads the `berth.port.*` labels among `own`, which is sorted. */
export function portAliasesFrom(own: ReadonlyMap<string, string>, fault: TakeFault): PortAlias[] {
  const prefix = "berth.port.";
  const aliases = new Map<string, PortAlias>();
  for (const [label, text] of own) {
    if (!label.startsWith(prefix)) continue;
    const asked = portKeyFrom(label.slice(prefix.length));
    const target = portKeyFrom(text);
    if (asked === undefined) {
      fault(`${label} names no service port; write it as berth.port.80 or berth.port.53/udp`);
    } else if (target === undefined || (text.includes("/") && target.protocol !== asked.protocol)) {
      fault(`${label}=${text} leads to no container port; give its number, 1 to 65535, alone`);
    } else {
      const { protocol, containerPort: servicePort } = asked;
      aliases.set(`${servicePort}/${protocol}`, {
        protocol,
        servicePort,
        containerPort: target.containerPort,
      });
    }
  }
  if (aliases.size > mostAliases) {
    const message = `${aliases.size} berth.port labels, and a container may have ${mostAliases}; the others are left out`;
    fault(message, "too-many");
  }
  return [...aliases.values()].slice(0, mostAliases);
}

/** `berth.tls=true|false|PORT[,PORT]`. */
export function tlsFrom(text: string | undefined, fault: TakeFault): "all" | number[] {
  if (text === undefined) return [];
  const flag = flagFrom(text);
  if (flag !== undefined) return flag ? "all" : [];
  const ports = wordsOf(text).slice(0, mostAliases).map(portFrom);
  const right = ports.filter((port) => port !== undefined);
  if (right.length === 0 || right.length < ports.length)
    fault(`berth.tls=${text} is neither true nor a list of ports such as 443,8443`);
  return right;
}

/** `berth.publish=true|false|PORT[,PORT/udp]`. */
export function publishFrom(text: string | undefined, fault: TakeFault): boolean | PortKey[] | undefined {
  if (text === undefined) return undefined;
  const flag = flagFrom(text);
  // "1" is more likely a person's true than tcpmux.
  if (flag !== undefined) return flag;
  const ports = wordsOf(text).map(portKeyFrom);
  const right = ports.filter((port) => port !== undefined);
  if (right.length === 0 || right.length < ports.length)
    fault(`berth.publish=${text} is neither true nor a list of container ports such as 8080,53/udp`);
  return right.length === 0 ? undefined : right;
}
