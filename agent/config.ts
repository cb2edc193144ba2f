import { hostname } from "node:os";

import { z } from "zod";

import { type Address, isConnectable, isLoopback, parseAddress } from "../shared/address.ts";
import { type ConfigOf, secondsOption, switchSchema, urlListOption } from "../shared/config.ts";
import { labelFault, labelFromText, type Name, nameSchema } from "../shared/name.ts";

const socketOption = z
  .string({ error: "the engine's socket" })
  // Where people's other Docker tools look, so that the agent watches the same engine.
  .default(() => process.env.DOCKER_HOST || "unix:///var/run/docker.sock")
  .transform((text, context) => {
    const path = text.startsWith("unix://") ? text.slice("unix://".length) : text;
    if (path.startsWith("/")) return path;
    const message = `"${text}" (DOCKER_HOST is taken when nothing is given) is not a unix socket, such as unix:///var/run/docker.sock; the agent runs beside its engine and speaks to no other`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }) as unknown as z.ZodType<string>;

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
    const addresses = new Set<Address>();
    for (const word of text.split(/[\s,]+/).filter((part) => part !== "")) {
      const address = parseAddress(word);
      if (address !== undefined && isConnectable(address)) addresses.add(address);
      else
        context.addIssue({ code: "custom", message: `"${word}" is not an IP address others can connect to` });
    }
    if (addresses.size > 32) context.addIssue({ code: "custom", message: "more than 32 addresses" });
    const mixture = mixtureFault([...addresses]);
    if (mixture !== undefined) context.addIssue({ code: "custom", message: mixture });
    return [...addresses];
  }) as unknown as z.ZodType<Address[]>;

/** A host is for its own machine's clients or for others' too; no resolver takes one that is both. */
function mixtureFault(addresses: readonly Address[]): string | undefined {
  const loopback = addresses.filter(isLoopback);
  const others = addresses.filter((address) => !isLoopback(address));
  if (loopback.length === 0 || others.length === 0) return undefined;
  return `${loopback.join(", ")} means every machine itself and cannot stand beside ${others.join(", ")}; give ${others.join(",")} alone, or loopback addresses alone when resolver and clients are all on this machine`;
}

function pathOption(what: string): z.ZodType<string> {
  return z.string({ error: `the path of ${what} is missing` });
}

export const agentOptions = {
  engine: {
    schema: socketOption,
    help: "the Docker engine's socket (default: DOCKER_HOST, else unix:///var/run/docker.sock)",
    value: "SOCKET",
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
  zone: { schema: zoneOption, help: "the zone names are made in (default berth.internal)", value: "NAME" },
  hostLabel: {
    schema: hostLabelOption,
    help: "this host's own label, below host.<zone> (default: from the hostname)",
    value: "LABEL",
  },
  advertise: {
    schema: advertiseOption,
    help: "addresses others reach this host at, by comma (default: those it reaches the resolver from)",
    value: "IPS",
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
