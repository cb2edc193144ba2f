import type { Destination } from "../../client/answers/destination.ts";
import type { StubResolver } from "../../client/stub-resolver.ts";
import { type Address, familyOf } from "../../shared/address.ts";
import { BerthError, describeFault } from "../../shared/errors.ts";
import { displayName, type Name, parseName } from "../../shared/name.ts";
import { isHostAddressName } from "../../shared/reserved.ts";
import type { ClientRequest } from "./handshake.ts";
import { granted, type Refusal } from "./reply.ts";
import type { StandIns } from "./stand-ins.ts";
import { Command, encodeNameReply } from "./wire.ts";

/** Tor's RESOLVE and RESOLVE_PTR, which torsocks sends for getaddrinfo(3), gethostbyname(3) and gethostbyaddr(3). */

export interface ResolvePorts {
  /** What the policy denies, it refuses. */
  stub: Pick<StubResolver, "resolve" | "zoneOf" | "portsOf">;
  standIns: StandIns;
  /** The system's name of an address; undefined when it has none. Rejects when it could not ask. */
  reverse: (address: Address) => Promise<string | undefined>;
  signal: AbortSignal;
}

const namelessAddress: Refusal = { kind: "not-found", reason: "nobody knows a name of this address" };

/** `text` says what was found, for the log. */
export type ResolveOutcome = { kind: "resolved"; reply: Uint8Array; text: string } | Refusal;

/**
 * The whole reply to a RESOLVE or RESOLVE_PTR; what was found stands where BND.ADDR is. A service's name is answered with a stand-in, as
 * each of its ports has an address of its own; every other name with a true address, IPv4 before IPv6, for which not every such client
 * has room. Never rejects.
 */
export async function answerResolve(request: ClientRequest, ports: ResolvePorts): Promise<ResolveOutcome> {
  const { command, destination } = request;
  if (command === Command.ResolvePtr) return answerPtr(request, ports);
  const found = await addressOf(destination, ports);
  if (typeof found !== "string") return found;
  return { kind: "resolved", reply: granted(request.protocol, { address: found, port: 0 }), text: found };
}

async function addressOf(destination: Destination, ports: ResolvePorts): Promise<Address | Refusal> {
  if (destination.kind === "address") return destination.address;
  const zone = ports.stub.zoneOf(destination.name);
  const name = zone === undefined ? undefined : nameFrom(destination.name);
  if (name !== undefined && typeof name !== "string") return name;
  if (zone === undefined || name === undefined || isHostAddressName(name, zone)) {
    return trueAddress(destination, ports);
  }
  const published = await ports.stub.portsOf(name, { signal: ports.signal });
  if (published.kind === "failed") return published.failure;
  if (published.kind === "ports") return ports.standIns.addressFor(name);
  return { kind: "not-found", reason: "nothing is published under this name" };
}

async function trueAddress(destination: Destination, ports: ResolvePorts): Promise<Address | Refusal> {
  const resolution = await ports.stub.resolve(destination, { signal: ports.signal });
  if (resolution.kind !== "endpoints") return resolution;
  const addresses = resolution.endpoints.flatMap((endpoint) => endpoint.addresses);
  const best = addresses.find((address) => familyOf(address) === 4) ?? addresses[0];
  return best ?? { kind: "not-found", reason: "it has no address" };
}

async function answerPtr(
  { protocol, destination }: ClientRequest,
  ports: ResolvePorts,
): Promise<ResolveOutcome> {
  if (protocol === "socks4") return { kind: "command-not-supported", command: Command.ResolvePtr };
  if (destination.kind === "name") {
    return { kind: "malformed-request", reason: "RESOLVE_PTR asks about an address, not about a name" };
  }
  const found = await nameOf(destination, ports);
  if (typeof found !== "string") return found;
  return { kind: "resolved", reply: encodeNameReply(found), text: found };
}

type AddressDestination = Extract<Destination, { kind: "address" }>;

async function nameOf(destination: AddressDestination, ports: ResolvePorts): Promise<string | Refusal> {
  const { address } = destination;
  const meaning = ports.standIns.meaningOf(address);
  if (meaning?.kind === "name") return displayName(meaning.name);
  if (meaning?.kind === "unknown") return namelessAddress;
  // Where a client may not go it need not ask about either.
  const allowed = await ports.stub.resolve(destination, { signal: ports.signal });
  if (allowed.kind !== "endpoints") return allowed;
  try {
    return (await ports.reverse(address)) ?? namelessAddress;
  } catch (fault) {
    return { kind: "no-answer", reason: describeFault(fault) };
  }
}

function nameFrom(text: string): Name | Refusal {
  try {
    return parseName(text);
  } catch (fault) {
    if (fault instanceof BerthError) return { kind: "bad-name", reason: fault.message };
    throw fault;
  }
}
