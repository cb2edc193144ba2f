import { z } from "zod";

/*
 * What a running agent tells of itself, as GET /status writes it. All times are seconds, and ages rather than moments: reader and agent
 * need not agree on a clock. What is undefined has not happened yet. Names, labels and faults are as hostile as whoever wrote them.
 */

/** What the Server header of an agent's replies says. */
export const serverName = "berth-agent";

const seconds = z.number();
const count = z.number().int().nonnegative();

const engineStatusSchema = z.object({
  /** How people tell it from the host's other engines; unique on this host. */
  label: z.string(),
  where: z.string(),
  /** Such as docker or podman; "" before it was detected. */
  kind: z.string(),
  version: z.string().optional(),
  /** Its last read succeeded. */
  up: z.boolean(),
  fault: z.string().optional(),
  /** Why it could not be told at the last look where its ports are open; an address found before stands. */
  addressFault: z.string().optional(),
  lastReadAgo: seconds.optional(),
  /** All that run, those that drain among them. */
  containers: count,
  passes: count,
  events: count,
  /** Instances that were told to stop, and are left out until they are gone. */
  draining: count,
});
export type EngineStatus = z.infer<typeof engineStatusSchema>;

const resolverStatusSchema = z.object({
  /** Of the resolver whose turn it is. */
  url: z.string(),
  /** It took the last request. */
  up: z.boolean(),
  fault: z.string().optional(),
  /** Since the registry last took something: the age of what it holds for this host. */
  lastSyncAgo: seconds.optional(),
  lease: seconds.optional(),
  /** 0 or less: it has lapsed, as far as this host can tell. */
  leaseRemaining: seconds.optional(),
  /** Renewals go by an open link rather than by requests. */
  link: z.boolean(),
  pushes: count,
  renewals: count,
  refused: z.array(z.object({ name: z.string(), code: z.string(), message: z.string() })),
});
export type ResolverStatus = z.infer<typeof resolverStatusSchema>;

const relayStatusSchema = z.object({
  /** Unique on this host but for those that are finishing, and the same over restarts of its container. */
  key: z.string(),
  container: z.string(),
  protocol: z.enum(["tcp", "udp"]),
  /** The host's port; undefined while it could not be opened. */
  port: z.number().int().optional(),
  /** Finishing: it takes nobody new, and goes on with what it has begun. */
  state: z.enum(["open", "failed", "finishing"]),
  fault: z.string().optional(),
  /** Towards the container and from it, since the relay was opened. */
  bytesIn: count,
  bytesOut: count,
  /** Open now. */
  connections: count,
  /** Connections and datagrams for which there was no room. */
  refused: count.optional(),
  /** Connections that the container did not accept. */
  failed: count.optional(),
});

const checkStatusSchema = z.object({
  container: z.string(),
  /** What is asked, for people, such as `tcp 172.17.0.2:80`. */
  target: z.string().optional(),
  state: z.enum(["starting", "healthy", "unhealthy"]),
  fault: z.string().optional(),
});

const serviceStatusSchema = z.object({
  /** The file it was declared in, and which one there. */
  id: z.string(),
  names: z.array(z.string()),
  /** What its check says. Only healthy and unchecked ones are declared to the resolver. */
  state: z.enum(["starting", "healthy", "unhealthy", "unchecked"]),
});

export const agentStatusSchema = z.object({
  version: z.string(),
  uptime: seconds,
  hostId: z.string(),
  /** `granted` is undefined before the registry's first reply. */
  hostLabel: z.object({ declared: z.string(), granted: z.string().optional() }),
  /** Those the last declared set names; none before there was one. */
  addresses: z.array(z.string()),
  /** Why the host's own addresses could not be told at the last look; those found before stand. */
  addressFault: z.string().optional(),
  engines: z.array(engineStatusSchema),
  resolver: resolverStatusSchema,
  bindings: count,
  problems: z.array(z.object({ container: z.string(), code: z.string(), message: z.string() })),
  notes: count,
  relays: z.array(relayStatusSchema),
  checks: z.array(checkStatusSchema),
  /** Names of the containers that come and go too often to be relied on. */
  flapping: z.array(z.string()),
  services: z.array(serviceStatusSchema),
});
export type AgentStatus = z.infer<typeof agentStatusSchema>;

/**
 * What an operator has to look at now, a sentence each; none while the agent does its work. Problems of single containers are not among
 * them: those are for whoever labelled the container.
 */
export function troublesOf(status: AgentStatus): string[] {
  const { engines, resolver } = status;
  const down = engines.filter(({ up }) => !up);
  return [
    ...addressTrouble(status),
    ...down.map(({ label, fault }) => `engine ${label} is down${fault === undefined ? "" : `: ${fault}`}`),
    ...engines.flatMap(engineAddressTrouble),
    ...leaseTrouble(resolver),
  ];
}

function addressTrouble({ addresses, addressFault }: AgentStatus): string[] {
  if (addressFault !== undefined) return [`this host's addresses cannot be told: ${addressFault}`];
  return addresses.length === 0 ? ["nothing is declared at any address of this host yet"] : [];
}

function engineAddressTrouble({ label, addressFault }: EngineStatus): string[] {
  return addressFault === undefined
    ? []
    : [`the addresses of the engine ${label} cannot be told: ${addressFault}`];
}

/** A resolver that fails while the lease still runs costs nobody a name yet. */
function leaseTrouble({ url, fault, leaseRemaining }: ResolverStatus): string[] {
  const reason = fault === undefined ? "" : `: ${fault}`;
  if (leaseRemaining === undefined) return [`the resolver at ${url} has granted no lease yet${reason}`];
  return leaseRemaining > 0 ? [] : [`the lease at ${url} has lapsed${reason}`];
}
