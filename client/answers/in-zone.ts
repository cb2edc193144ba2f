import { RRType } from "../../shared/dns/constants.ts";
import {
  addressesFromAnswer,
  endpointsFromAnswer,
  type Protocol,
  portListOwner,
  serviceOwner,
  servicePortsFromAnswer,
} from "../../shared/dns/endpoints.ts";
import type { Response as DnsResponse, RR } from "../../shared/dns/message.ts";
import { BerthError } from "../../shared/errors.ts";
import { labelsOf, type Name, parseName } from "../../shared/name.ts";
import { isHostAddressName } from "../../shared/reserved.ts";
import { type EndpointsFound, plainEndpoint, type Resolution } from "./resolution.ts";
import type { Answer, Stub } from "./stub.ts";

/** Answers bring the targets' addresses along unless they would be too long; so many targets then are enough to reach one. */
const maxTargetsAsked = 8;

/** A service port of a name of `zone`, the name as a program wrote it. */
export interface ServicePlace {
  text: string;
  port: number;
  protocol: Protocol;
  zone: Name;
}

interface Question {
  name: Name;
  type: number;
}

/** Gives out questions that may be asked at once, and takes their answers in the same order. */
type Steps<T> = Generator<readonly Question[], T, readonly Answer[]>;

/**
 * A name of the zone at a service port. Every name but a container host's own is a service's, and is reachable where the SRV RRset of
 * that port says or not at all: the container host's own port of that number is another program. What kind a name is follows from the
 * name alone, because answers that come one after another may be of different revisions of the zone.
 */
export async function inZoneEndpoints(place: ServicePlace, ask: Stub): Promise<Resolution> {
  const steps = endpointSteps(place);
  let step = steps.next();
  while (!step.done) {
    step = steps.next(await Promise.all(step.value.map(({ name, type }) => ask(name, type))));
  }
  return step.value;
}

/** The same from answers at hand, at once; undefined when one that is needed is not. */
export function inZoneEndpointsAtHand(
  place: ServicePlace,
  recall: (name: Name, type: number) => Answer | undefined,
): Resolution | undefined {
  const steps = endpointSteps(place);
  let step = steps.next();
  while (!step.done) {
    const answers: Answer[] = [];
    for (const { name, type } of step.value) {
      const answer = recall(name, type);
      if (answer === undefined) return undefined;
      answers.push(answer);
    }
    step = steps.next(answers);
  }
  return step.value;
}

/** The name of a service or a host as a program wrote it. Throws a BerthError `bad-name`. */
function hostNameFrom(text: string): Name {
  const name = parseName(text);
  if (!labelsOf(name).some((label) => label.startsWith("_"))) return name;
  throw new BerthError("bad-name", "a label that starts with _ names no host");
}

function* endpointSteps({ text, port, protocol, zone }: ServicePlace): Steps<Resolution> {
  const owners = ownersOf(text, port, protocol);
  if ("kind" in owners) return owners;
  if (isHostAddressName(owners.name, zone)) return yield* hostSteps(owners.name, port);
  const service = yield* askOne(owners.service, RRType.SRV);
  if (service.kind === "failed") return service.failure;
  if (service.kind === "exists" && service.response.answer.some(({ rdata }) => rdata.type === RRType.SRV)) {
    return yield* serviceSteps(service);
  }
  return yield* publishedPortSteps(owners);
}

interface Owners {
  name: Name;
  service: Name;
  ports: Name;
  otherPorts: Name;
}

function ownersOf(text: string, port: number, protocol: Protocol): Owners | Resolution {
  try {
    const name = hostNameFrom(text);
    return {
      name,
      service: serviceOwner(name, protocol, port),
      ports: portListOwner(name, protocol),
      otherPorts: portListOwner(name, protocol === "tcp" ? "udp" : "tcp"),
    };
  } catch (fault) {
    if (fault instanceof BerthError) return { kind: "bad-name", reason: fault.message };
    throw fault;
  }
}

function* serviceSteps(service: Extract<Answer, { kind: "exists" }>): Steps<Resolution> {
  const { endpoints, unresolved } = endpointsOf(service.response);
  if (unresolved.length === 0) {
    if (endpoints.length > 0) return foundBy([service], endpoints);
    return { kind: "not-found", reason: "its SRV records lead nowhere" };
  }
  const targets = unresolved.slice(0, maxTargetsAsked);
  const answers = yield targets.flatMap((name) => [
    { name, type: RRType.AAAA },
    { name, type: RRType.A },
  ]);
  const additional = [...service.response.additional, ...answers.flatMap(recordsOf)];
  const found = endpointsFromAnswer({ ...service.response, additional }).endpoints;
  return found.length > 0 ? foundBy([service, ...answers], found) : noAddress(answers);
}

/** Why there is no SRV RRset: the name has other ports, or none. */
function* publishedPortSteps(owners: Owners): Steps<Resolution> {
  const [ports, otherPorts] = yield [
    { name: owners.ports, type: RRType.PTR },
    { name: owners.otherPorts, type: RRType.PTR },
  ];
  if (ports?.kind === "failed") return ports.failure;
  if (otherPorts?.kind === "failed") return otherPorts.failure;
  if (ports?.kind === "exists") {
    return { kind: "port-not-published", published: servicePortsFromAnswer(ports.response) };
  }
  if (otherPorts?.kind === "exists") return { kind: "port-not-published", published: [] };
  return { kind: "not-found", reason: "nothing is published under this name (NXDOMAIN)" };
}

/** IPv6 first. One family is enough when the question for the other fails. */
function* hostSteps(name: Name, port: number): Steps<Resolution> {
  const answers = yield [
    { name, type: RRType.AAAA },
    { name, type: RRType.A },
  ];
  const addresses = answers.flatMap((answer) =>
    answer.kind === "exists" ? addressesFromAnswer(answer.response) : [],
  );
  return addresses.length > 0
    ? foundBy(answers, plainEndpoint(addresses, port, true).endpoints)
    : noAddress(answers);
}

function* askOne(name: Name, type: number): Steps<Answer> {
  const [answer] = yield [{ name, type }];
  return answer ?? { kind: "failed", failure: { kind: "no-answer", reason: "nobody was asked" } };
}

function foundBy(answers: readonly Answer[], endpoints: EndpointsFound["endpoints"]): EndpointsFound {
  const until = answers.flatMap((answer) => (answer.kind === "exists" ? (answer.staleUntil ?? []) : []));
  const found = { kind: "endpoints", endpoints, inZone: true } as const;
  return until.length === 0 ? found : { ...found, staleUntil: Math.min(...until) };
}

/** Because there is none, or because an answer that may have had some did not come. */
function noAddress(answers: readonly Answer[]): Resolution {
  const failed = answers.find((answer) => answer.kind === "failed");
  if (failed !== undefined) return failed.failure;
  const absent = answers.some((answer) => answer.kind === "nxdomain");
  return { kind: "not-found", reason: absent ? "no such name (NXDOMAIN)" : "it has no address (NODATA)" };
}

/** Of one response once: it may be remembered and asked for with every connection. */
const joined = new WeakMap<DnsResponse, ReturnType<typeof endpointsFromAnswer>>();

function endpointsOf(response: DnsResponse): ReturnType<typeof endpointsFromAnswer> {
  const known = joined.get(response);
  if (known !== undefined) return known;
  const found = endpointsFromAnswer(response);
  joined.set(response, found);
  return found;
}

function recordsOf(answer: Answer): RR[] {
  return answer.kind === "exists" ? answer.response.answer : [];
}
