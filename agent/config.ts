import { hostname } from "node:os";

import { z } from "zod";

import { type Address, isConnectable, isLoopback, parseAddress } from "../shared/address.ts";
import { type ConfigOf, secondsOption, switchSchema, urlListOption } from "../shared/config.ts";
import { describeFault } from "../shared/errors.ts";
import { labelFault, labelFromText, type Name, nameSchema } from "../shared/name.ts";
import type { Advertise } from "./addresses.ts";
import { parseFamilies } from "./declare/families.ts";
import type { Family, NameTemplate, Selector } from "./declare/input.ts";
import { defaultTemplate, parseNameTemplate } from "./declare/name-template.ts";
import { parseSelectors } from "./declare/selectors.ts";
import { type EngineTarget, parseEngineTargets } from "./engine/target.ts";
import type { PortRange } from "./relay/relay-ports.ts";
import { statusOption } from "./status/status-option.ts";

/** What `parse` makes of the text, with what it throws as the option's fault. */
function parsedOption<T>(standard: string, parse: (text: string) => T): z.ZodType<T> {
  return z
    .string({ error: "a text" })
    .default(standard)
    .transform((text, context) => {
      try {
        return parse(text);
      } catch (fault) {
        context.addIssue({ code: "custom", message: describeFault(fault) });
        return z.NEVER;
      }
    }) as unknown as z.ZodType<T>;
}

/** The engine behind a socket of this machine, as the option would name it. */
export function enginesAt(socketPath: string): EngineTarget[] {
  return parseEngineTargets(socketPath, {});
}

/** `none`: the host has services in files only. */
const engineOption = parsedOption<EngineTarget[]>("", (text) => {
  if (text.trim() === "none") return [];
  try {
    return parseEngineTargets(text, process.env);
  } catch (fault) {
    const source = text.trim() === "" ? "DOCKER_HOST, taken when nothing is given, " : "";
    throw new Error(`${source}${describeFault(fault).replace(/^--engine /, "")}`);
  }
});

const zoneOption = z
  .string({ error: "a zone" })
  .default("berth.internal")
  .pipe(nameSchema)
  .refine((zone) => zone !== ".", "the root is not a zone berth can serve") as unknown as z.ZodType<Name>;

const hostLabelOption = z
  .string({ error: "a label" })
  .optional()
  .transform((text, context) => {
    const label = text?.toLowerCase() ?? labelFromText(hostname().split(".")[0] ?? "");
    const fault = label === undefined ? `the hostname "${hostname()}" gives no label` : labelFault(label);
    if (label !== undefined && fault === undefined) return label;
    const message = `${fault}; give one of letters, digits and inner hyphens with --host-label`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }) as unknown as z.ZodType<string>;

const advertiseOption = z
  .string({ error: "IP addresses" })
  .default("")
  .transform((text, context) => {
    if (text.trim() === "observed") return "observed";
    const addresses = new Set<Address>();
    for (const word of text.split(/[\s,]+/).filter((part) => part !== "")) {
      const address = parseAddress(word);
      if (address !== undefined && isConnectable(address)) addresses.add(address);
      else {
        const message = `"${word}" is not an IP address others can connect to; behind NAT, "observed" alone advertises what the resolver sees`;
        context.addIssue({ code: "custom", message });
      }
    }
    if (addresses.size > 32) context.addIssue({ code: "custom", message: "more than 32 addresses" });
    const mixture = mixtureFault([...addresses]);
    if (mixture !== undefined) context.addIssue({ code: "custom", message: mixture });
    return [...addresses];
  }) as unknown as z.ZodType<Advertise>;

/** A host is for its own machine's clients or for others' too; no resolver takes one that is both. */
function mixtureFault(addresses: readonly Address[]): string | undefined {
  const loopback = addresses.filter(isLoopback);
  const others = addresses.filter((address) => !isLoopback(address));
  if (loopback.length === 0 || others.length === 0) return undefined;
  return `${loopback.join(", ")} means every machine itself and cannot stand beside ${others.join(", ")}; give ${others.join(",")} alone, or loopback addresses alone when resolver and clients are all on this machine`;
}

const relayPortsOption = z
  .string({ error: "two ports" })
  .default("20000-20999")
  .transform((text, context) => {
    if (text.trim() === "off") return undefined;
    const match = /^(\d{1,5})-(\d{1,5})$/.exec(text.trim());
    const [first, last] = [Number(match?.[1]), Number(match?.[2])];
    if (match !== null && first >= 1 && first <= last && last <= 65535) return { first, last };
    const message = `"${text}" is not a range of ports, such as 20000-20999, nor off`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }) as unknown as z.ZodType<PortRange | undefined>;

function pathOption(what: string): z.ZodType<string> {
  return z.string({ error: `the path of ${what} is missing` });
}

export const agentOptions = {
  engine: {
    schema: engineOption,
    help: "a container engine: unix:///SOCKET, tcp://HOST:PORT?tls=DIR or ssh://USER@HOST; none: only services in files (default: DOCKER_HOST, else unix:///var/run/docker.sock)",
    value: "ENGINE",
    list: true,
  },
  resolver: {
    schema: urlListOption("https://127.0.0.1:8053"),
    help: "the resolver to push to; several of one registry, by comma (default https://127.0.0.1:8053)",
    value: "URLS",
  },
  tokenFile: {
    schema: pathOption("the token file"),
    help: "the file that holds the token the resolver gave for this agent; read again at every push",
    value: "FILE",
  },
  stateDir: {
    schema: pathOption("the state directory"),
    help: "where the agent keeps the host's key",
    value: "DIR",
  },
  servicesDir: {
    schema: parsedOption("/etc/berth/services.d", (text) => text),
    help: "*.toml files of services that no engine reports (default /etc/berth/services.d)",
    value: "DIR",
  },
  zone: { schema: zoneOption, help: "the zone names are made in (default berth.internal)", value: "NAME" },
  hostLabel: {
    schema: hostLabelOption,
    help: "this host's own label, below host.<zone> (default: from the hostname)",
    value: "LABEL",
  },
  advertise: {
    schema: advertiseOption,
    help: "addresses others reach this host at, by comma; observed: the one the resolver sees, behind NAT (default: those it reaches the resolver from)",
    value: "IPS",
  },
  nameTemplate: {
    schema: parsedOption<NameTemplate>(defaultTemplate, parseNameTemplate),
    help: `how containers without name labels are called (default ${defaultTemplate})`,
    value: "TEMPLATE",
  },
  families: {
    schema: parsedOption<ReadonlySet<Family>>("all", parseFamilies),
    help: "whose labels and variables name services too: registrator, nginx-proxy, traefik, dnsdock; all, none (default all)",
    value: "FAMILIES",
    list: true,
  },
  only: {
    schema: parsedOption<Selector[]>("", (text) => parseSelectors(text, "--only")),
    help: "declare only containers with label:KEY, label:KEY=VALUE or network:NAME",
    value: "SELECTOR",
    list: true,
  },
  except: {
    schema: parsedOption<Selector[]>("", (text) => parseSelectors(text, "--except")),
    help: "leave such containers out",
    value: "SELECTOR",
    list: true,
  },
  publishUnpublished: {
    schema: switchSchema,
    help: "relay the ports that containers expose and do not publish",
  },
  relayPorts: {
    schema: relayPortsOption,
    help: "where relays of unpublished ports listen, or off: none is ever opened (default 20000-20999)",
    value: "FIRST-LAST",
  },
  status: {
    schema: statusOption,
    help: "where metrics and status are served, or off (default 127.0.0.1:9853)",
    value: "HOST:PORT",
  },
  lease: {
    schema: secondsOption(5, 3600, 15),
    help: "seconds the host's names outlive a silent agent (default 15)",
    value: "SECONDS",
  },
  engineGrace: {
    schema: secondsOption(10, 3600, 60),
    help: "seconds a silent engine's containers stay declared (default 60)",
    value: "SECONDS",
  },
  resync: {
    schema: secondsOption(1, 3600, 10),
    help: "seconds between looks at the engine when no event asks for one (default 10)",
    value: "SECONDS",
  },
  withdraw: { schema: switchSchema, help: "take this host's names out of the resolver, and end" },
};
export type AgentConfig = ConfigOf<typeof agentOptions>;
