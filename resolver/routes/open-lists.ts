import { type Context, Hono } from "hono";

import { type Protocol, portListOwner, servicePortsFromAnswer } from "../../shared/dns/endpoints.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import { displayName, isInZone, maxNameLength, type Name, nameSchema } from "../../shared/name.ts";
import type { PortList, ZoneList } from "../../shared/registry-views.ts";
import type { ZoneView } from "../zone/zone.ts";
import { asksPastCopies } from "./dns-query.ts";
import { type LookupParts, mayLookUp } from "./lookup.ts";

const zonesPath = "/v1/zones";
const protocols = ["tcp", "udp"] as const;

/** What may be asked by whoever may look names up: which zones there are, and which ports a name has. Read as DNS answers are. */
export function openListRoutes(parts: LookupParts): Hono {
  const { zone, ttl } = parts.apex;
  const check = mayLookUp(parts);
  return new Hono()
    .get(zonesPath, check, (context) =>
      context.json({ zones: [zone] } satisfies ZoneList, 200, { "cache-control": `max-age=${ttl}` }),
    )
    .get("/v1/names/:name", check, async (context) => {
      const name = nameFrom(context.req.param("name"));
      const { list, maxAge } = await readPorts(parts, name, asksPastCopies(context.req.raw.headers));
      return replyWith(context, list, maxAge);
    });
}

function replyWith(context: Context, list: PortList, maxAge: number): Response {
  return context.json(list, 200, { "cache-control": `max-age=${maxAge}` });
}

/** Throws a BerthError `malformed-name`. */
function nameFrom(text: string): Name {
  const parsed = nameSchema.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new BerthError("malformed-name", parsed.error.issues[0]?.message ?? "this is not a domain name");
}

/** Throws a BerthError `unknown-name` when the name surely has no port, `store-unavailable` when nobody can say. */
async function readPorts(
  parts: LookupParts,
  name: Name,
  fresh: boolean,
): Promise<{ list: PortList; maxAge: number }> {
  const { zone } = parts.apex;
  if (!isInZone(name, zone)) {
    const zones = `this resolver answers for ${displayName(zone)} only`;
    throw unknownName(`${displayName(name)} lies outside: ${zones}`);
  }
  const reads = await Promise.all(protocols.map((protocol) => readPortList(parts, name, protocol, fresh)));
  const views = reads.filter((read) => read !== undefined);
  const ports = views.flatMap((view) => view.ports);
  const missed = views.length < reads.length;
  // What could not be read may have ports, so without any it is no time to say that there are none.
  if (ports.length === 0 && missed) {
    throw new BerthError("store-unavailable", "the registry does not answer; try again", { retryable: true });
  }
  if (ports.length === 0) throw unknownName(`${displayName(name)} has no port`);
  const stale = missed || views.some((view) => view.stale) ? ({ stale: true } as const) : {};
  const revision = Math.min(...views.map((view) => view.revision));
  return {
    list: { revision, zone, name, ports, ...stale },
    maxAge: Math.min(...views.flatMap((view) => view.ttl ?? [])),
  };
}

interface ReadPorts extends Pick<ZoneView, "revision" | "stale"> {
  ports: PortList["ports"];
  /** Seconds; undefined when there are no ports. */
  ttl: number | undefined;
}

/** Undefined when it cannot be read. */
async function readPortList(
  { zone, log }: LookupParts,
  name: Name,
  protocol: Protocol,
  fresh: boolean,
): Promise<ReadPorts | undefined> {
  // No registered name is so long that its port list's would be too long.
  if (name.length + protocol.length + 2 > maxNameLength)
    throw unknownName("no name of this length has ports");
  const owner = portListOwner(name, protocol);
  try {
    const { revision, stale, rrsets } = await zone.read(owner, fresh);
    const answer = rrsets.flatMap(({ ttl, rdata }) => rdata.map((one) => ({ name: owner, ttl, rdata: one })));
    const ports = servicePortsFromAnswer({ answer }).map((servicePort) => ({ protocol, servicePort }));
    return { revision, ports, ttl: rrsets[0]?.ttl, ...(stale ? { stale } : {}) };
  } catch (fault) {
    log.error(`cannot list the ${protocol} ports of a name: ${describeFault(fault)}`);
    return undefined;
  }
}

function unknownName(message: string): BerthError {
  return new BerthError("unknown-name", message);
}
