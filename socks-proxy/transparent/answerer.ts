import type { Answer } from "../../client/answers/stub.ts";
import type { StubResolver } from "../../client/stub-resolver.ts";
import type { Address } from "../../shared/address.ts";
import { Rcode, RRType } from "../../shared/dns/constants.ts";
import {
  decodeQuery,
  maxMessageLength,
  type Query,
  type ResponseParts,
  type RR,
} from "../../shared/dns/message.ts";
import { type MessageStart, readMessageStart } from "../../shared/dns/question.ts";
import { BerthError } from "../../shared/errors.ts";
import type { Name } from "../../shared/name.ts";
import { probeName } from "../../shared/reserved.ts";
import { leadsToUs } from "./rebinding.ts";
import type { Found } from "./served-names.ts";
import {
  addressAnswer,
  encodeFitting,
  encodeFormErr,
  encodeRefusal,
  failedAnswer,
  fitForwarded,
  isAboutAddresses,
  negativeAnswer,
  noResolverText,
  type Plan,
  planFor,
  positiveAnswer,
  reverseAnswer,
  udpLimitOf,
} from "./stub-answer.ts";

export type Transport = "udp" | "tcp";

/** One message in, one out; undefined for what must not be answered. Never rejects for what a client sends. */
export type Answerer = (message: Uint8Array, transport: Transport) => Promise<Uint8Array | undefined>;

export interface AnswererPorts {
  stub: Pick<StubResolver, "zones" | "zoneOf" | "ask">;
  /** The zone of a name that is in none so far, when the zones are only just being asked for. Soon: the name may be anybody's. */
  zoneSoon: (name: string) => Promise<Name | undefined>;
  /** The addresses of a service name, its ports open. */
  find: (name: Name) => Promise<Found>;
  /** The name an address of ours belongs to; `isOurs` for all that lie in our ranges. */
  nameAt: (address: Address) => Name | undefined;
  isOurs: (address: Address) => boolean;
  /** Asks the system's servers. Undefined when none of them answers. */
  forward: (message: Uint8Array, transport: Transport) => Promise<Uint8Array | undefined>;
  /** A name outside the zones was answered with an address of ours, and refused. */
  onRebinding: (name: string) => void;
  resolveMs: number;
  /** Where it answers: what the name for probes leads to. */
  ownAddress?: Address | undefined;
}

export function createAnswerer(ports: AnswererPorts): Answerer {
  return async function answer(message, transport) {
    const start = startOf(message);
    if (start === undefined) return encodeFormErr(message);
    const plan = await planSoon(start, ports);
    if (plan.kind === "drop") return undefined;
    if (plan.kind === "refuse") return encodeRefusal(start, plan.rcode);
    const query = queryOf(message);
    const limit = transport === "tcp" ? maxMessageLength : udpLimitOf(query);
    if (plan.kind === "forward") return forwarded(message, transport, start, limit, ports);
    if (query === undefined || query.isFormErr) return encodeRefusal(start, Rcode.FormErr);
    return encodeFitting(query, await partsFor(plan, query, ports), limit);
  };
}

async function planSoon(start: MessageStart, { stub, zoneSoon, isOurs }: AnswererPorts): Promise<Plan> {
  const plan = planFor(start, (name) => stub.zoneOf(name), isOurs);
  if (plan.kind !== "forward") return plan;
  const zone = await zoneSoon(start.question?.name ?? ".");
  return zone === undefined ? plan : planFor(start, () => zone, isOurs);
}

async function forwarded(
  message: Uint8Array,
  transport: Transport,
  start: MessageStart,
  limit: number,
  { forward, isOurs, onRebinding }: AnswererPorts,
): Promise<Uint8Array> {
  const answer = await forward(message, transport);
  if (answer === undefined) return encodeRefusal(start, Rcode.ServFail);
  if (!leadsToUs(answer, isOurs)) return fitForwarded(answer, start, limit);
  onRebinding(start.question?.name ?? ".");
  return encodeRefusal(start, Rcode.Refused);
}

async function partsFor(
  plan: Exclude<Plan, { kind: "drop" | "refuse" | "forward" }>,
  query: Query,
  ports: AnswererPorts,
): Promise<ResponseParts> {
  // RFC 6891 §6.1.3.
  if (query.edns !== undefined && query.edns.version > 0) {
    return negativeAnswer(Rcode.BadVers, []);
  }
  switch (plan.kind) {
    case "reverse":
      return reverseAnswer(query, namesAt(plan.address, ports));
    case "absent":
      return negativeAnswer(Rcode.NXDomain, await soaOf(plan.zone, ports));
    case "zone-data":
      // Nobody else answers it, so whoever hears this has been led here.
      if (plan.name === probeName(plan.zone))
        return addressAnswer(plan.name, plan.type, [ports.ownAddress], []);
      return zoneData(plan, ports);
    case "service":
      return isAboutAddresses(plan.type) ? serviceAddresses(plan, ports) : zoneData(plan, ports);
  }
}

/** Of the address it answers at, the names for probes: so `berth dns install` hears of the zones. */
function namesAt(address: Address, { ownAddress, stub, nameAt }: AnswererPorts): Name[] {
  if (address === ownAddress) return stub.zones().map(probeName);
  const name = nameAt(address);
  return name === undefined ? [] : [name];
}

type AtName = { name: Name; zone: Name; type: number };

async function serviceAddresses({ name, zone, type }: AtName, ports: AnswererPorts): Promise<ResponseParts> {
  const found = await ports.find(name);
  switch (found.kind) {
    case "served": {
      const soa = type === RRType.AAAA && found.ipv6 === undefined ? await soaOf(zone, ports) : [];
      return addressAnswer(name, type, [found.ipv4, found.ipv6], soa);
    }
    case "none":
      // Not the host's addresses: the port of that number there is another program's.
      return withoutAddresses(found.answer, { name, zone, type }, ports);
    case "failed":
      return failedAnswer(noResolverText(zone));
    case "exhausted":
      return failedAnswer("every address of --transparent-range is taken");
  }
}

async function withoutAddresses(
  known: Extract<Found, { kind: "none" }>["answer"],
  { name, zone, type }: AtName,
  ports: AnswererPorts,
): Promise<ResponseParts> {
  const answer = known ?? (await ask(name, type === RRType.ANY ? RRType.A : type, ports));
  if (answer.kind === "failed") return failedAnswer(noResolverText(zone));
  const rcode = answer.kind === "nxdomain" ? Rcode.NXDomain : Rcode.NoError;
  return negativeAnswer(rcode, await soaOf(zone, ports));
}

/** What the resolver says, as it says it. */
async function zoneData({ name, zone, type }: AtName, ports: AnswererPorts): Promise<ResponseParts> {
  const answer = await ask(name, type, ports);
  if (answer.kind === "failed") return failedAnswer(noResolverText(zone));
  if (answer.kind === "nxdomain") return negativeAnswer(Rcode.NXDomain, await soaOf(zone, ports));
  const { response } = answer;
  if (response.answer.length > 0) return positiveAnswer([...response.answer], [...response.additional]);
  return negativeAnswer(Rcode.NoError, await soaOf(zone, ports));
}

async function soaOf(zone: Name, ports: AnswererPorts): Promise<RR[]> {
  const answer = await ask(zone, RRType.SOA, ports);
  if (answer.kind !== "exists") return [];
  return answer.response.answer.filter(({ rdata }) => rdata.type === RRType.SOA);
}

function ask(name: Name, type: number, { stub, resolveMs }: AnswererPorts): Promise<Answer> {
  return stub.ask(name, type, { signal: AbortSignal.timeout(resolveMs) });
}

function startOf(message: Uint8Array): MessageStart | undefined {
  return unlessMalformed(() => readMessageStart(message));
}

function queryOf(message: Uint8Array): Query | undefined {
  return unlessMalformed(() => decodeQuery(message));
}

function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (fault) {
    if (fault instanceof BerthError) return undefined;
    throw fault;
  }
}
