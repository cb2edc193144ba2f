import { RRType } from "../shared/dns/constants.ts";
import {
  addressesFromAnswer,
  endpointsFromAnswer,
  portListOwner,
  serviceOwner,
  servicePortsFromAnswer,
} from "../shared/dns/endpoints.ts";
import type { Response as DnsResponse, RR } from "../shared/dns/message.ts";
import { BerthError } from "../shared/errors.ts";
import { labelsOf, type Name, parseName } from "../shared/name.ts";
import { isHostAddressName } from "../shared/reserved.ts";
import { plainEndpoint, type Resolution } from "./resolution.ts";
import type { Answer, Stub } from "./stub.ts";

/** Answers bring the targets' addresses along unless they would be too long; so many targets then are enough to reach one. */
const maxTargetsAsked = 8;

interface Owners {
  name: Name;
  service: Name;
  tcpPorts: Name;
  udpPorts: Name;
}

/**
 * A name of the zone at a service port. Every name but a container host's own is a service's, and is reachable where the SRV RRset of
 * that port says or not at all: the container host's own port of that number is another program. What kind a name is follows from the
 * name alone, because answers that come one after another may be of different revisions of the zone.
 */
export async function inZoneEndpoints(
  text: string,
  port: number,
  zone: Name,
  ask: Stub,
): Promise<Resolution> {
  const owners = ownersOf(text, port);
  if ("kind" in owners) return owners;
  if (isHostAddressName(owners.name, zone)) return hostEndpoints(owners.name, port, ask);
  const service = await ask(owners.service, RRType.SRV);
  if (service.kind === "failed") return service.failure;
  if (service.kind === "exists" && service.response.answer.some(({ rdata }) => rdata.type === RRType.SRV)) {
    return serviceEndpoints(service.response, ask);
  }
  return publishedPorts(owners, ask);
}

function ownersOf(text: string, port: number): Owners | Resolution {
  try {
    const name = parseName(text);
    if (labelsOf(name).some((label) => label.startsWith("_"))) {
      return { kind: "bad-name", reason: "a label that starts with _ names no host" };
    }
    const [tcpPorts, udpPorts] = [portListOwner(name, "tcp"), portListOwner(name, "udp")];
    return { name, service: serviceOwner(name, "tcp", port), tcpPorts, udpPorts };
  } catch (fault) {
    if (fault instanceof BerthError) return { kind: "bad-name", reason: fault.message };
    throw fault;
  }
}

async function serviceEndpoints(response: DnsResponse, ask: Stub): Promise<Resolution> {
  const { endpoints, unresolved } = endpointsFromAnswer(response);
  if (unresolved.length === 0) {
    if (endpoints.length > 0) return { kind: "endpoints", endpoints };
    return { kind: "not-found", reason: "its SRV records lead nowhere" };
  }
  const targets = unresolved.slice(0, maxTargetsAsked);
  const answers = await Promise.all(
    targets.flatMap((target) => [ask(target, RRType.AAAA), ask(target, RRType.A)]),
  );
  const additional = [...response.additional, ...answers.flatMap(recordsOf)];
  const found = endpointsFromAnswer({ ...response, additional });
  return found.endpoints.length > 0 ? { kind: "endpoints", endpoints: found.endpoints } : noAddress(answers);
}

/** Why there is no SRV RRset: the name has other ports, or none. */
async function publishedPorts(owners: Owners, ask: Stub): Promise<Resolution> {
  const [tcpPorts, udpPorts] = await Promise.all([
    ask(owners.tcpPorts, RRType.PTR),
    ask(owners.udpPorts, RRType.PTR),
  ]);
  if (tcpPorts.kind === "failed") return tcpPorts.failure;
  if (udpPorts.kind === "failed") return udpPorts.failure;
  if (tcpPorts.kind === "exists") {
    return { kind: "port-not-published", published: servicePortsFromAnswer(tcpPorts.response) };
  }
  if (udpPorts.kind === "exists") return { kind: "port-not-published", published: [] };
  return { kind: "not-found", reason: "nothing is published under this name (NXDOMAIN)" };
}

/** IPv6 first. One family is enough when the question for the other fails. */
async function hostEndpoints(name: Name, port: number, ask: Stub): Promise<Resolution> {
  const answers = await Promise.all([ask(name, RRType.AAAA), ask(name, RRType.A)]);
  const addresses = answers.flatMap((answer) =>
    answer.kind === "exists" ? addressesFromAnswer(answer.response) : [],
  );
  return addresses.length > 0 ? plainEndpoint(addresses, port) : noAddress(answers);
}

/** Because there is none, or because an answer that may have had some did not come. */
function noAddress(answers: Answer[]): Resolution {
  const failed = answers.find((answer) => answer.kind === "failed");
  if (failed !== undefined) return failed.failure;
  const absent = answers.some((answer) => answer.kind === "nxdomain");
  return { kind: "not-found", reason: absent ? "no such name (NXDOMAIN)" : "it has no address (NODATA)" };
}

function recordsOf(answer: Answer): RR[] {
  return answer.kind === "exists" ? answer.response.answer : [];
}
