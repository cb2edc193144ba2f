import { RRType } from "../shared/dns/constants.ts";
import {
  addressesFromAnswer,
  type Endpoint,
  endpointsFromAnswer,
  portListOwner,
  serviceOwner,
  servicePortsFromAnswer,
} from "../shared/dns/endpoints.ts";
import type { Response as DnsResponse, RR } from "../shared/dns/message.ts";
import { BerthError } from "../shared/errors.ts";
import { labelsOf, type Name, parseName } from "../shared/name.ts";
import { endpointsInOrder, type Resolution } from "./resolution.ts";
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
 * A name of the zone at a service port. The SRV RRset of that port decides. Without one, a name that has service ports of its own
 * is reachable at those only: the container host's own port of that number is another program. A name without any, such as a
 * container host's, is reachable at its addresses.
 */
export async function inZoneEndpoints(text: string, port: number, ask: Stub): Promise<Resolution> {
  const owners = ownersOf(text, port);
  if ("kind" in owners) return owners;
  const service = await ask(owners.service, RRType.SRV);
  if (service.kind === "failed") return noAnswer(service);
  if (service.kind === "exists" && service.response.answer.some(({ rdata }) => rdata.type === RRType.SRV)) {
    return serviceEndpoints(service.response, ask);
  }
  const [tcpPorts, udpPorts, ...addresses] = await Promise.all([
    ask(owners.tcpPorts, RRType.PTR),
    ask(owners.udpPorts, RRType.PTR),
    ask(owners.name, RRType.AAAA),
    ask(owners.name, RRType.A),
  ]);
  if (tcpPorts.kind === "failed") return noAnswer(tcpPorts);
  if (udpPorts.kind === "failed") return noAnswer(udpPorts);
  if (tcpPorts.kind === "exists") {
    return { kind: "port-not-published", published: servicePortsFromAnswer(tcpPorts.response) };
  }
  if (udpPorts.kind === "exists") return { kind: "port-not-published", published: [] };
  return hostEndpoints(addresses, port);
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
  const found = endpointsFromAnswer(response);
  if (found.unresolved.length === 0) return endpointsOr(found.endpoints, []);
  const targets = found.unresolved.slice(0, maxTargetsAsked);
  const answers = await Promise.all(
    targets.flatMap((target) => [ask(target, RRType.AAAA), ask(target, RRType.A)]),
  );
  const additional = [...response.additional, ...answers.flatMap(recordsOf)];
  return endpointsOr(endpointsFromAnswer({ ...response, additional }).endpoints, answers);
}

function hostEndpoints(answers: Answer[], port: number): Resolution {
  const addresses = answers.flatMap((answer) =>
    answer.kind === "exists" ? addressesFromAnswer(answer.response) : [],
  );
  return endpointsOr(endpointsInOrder(addresses, port), answers);
}

/** None because there is none, or because an answer that may have had some did not come. */
function endpointsOr(endpoints: Endpoint[], answers: Answer[]): Resolution {
  if (endpoints.length > 0) return { kind: "endpoints", endpoints };
  const failed = answers.find((answer) => answer.kind === "failed");
  if (failed !== undefined) return noAnswer(failed);
  const absent = answers.some((answer) => answer.kind === "nxdomain");
  return { kind: "not-found", reason: absent ? "no such name (NXDOMAIN)" : "it has no address (NODATA)" };
}

function recordsOf(answer: Answer): RR[] {
  return answer.kind === "exists" ? answer.response.answer : [];
}

function noAnswer({ reason }: { reason: string }): Resolution {
  return { kind: "no-answer", reason };
}
