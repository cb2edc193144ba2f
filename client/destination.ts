import type { Address } from "../shared/address.ts";
import type { DohServers } from "../shared/doh-servers.ts";
import { describeFault } from "../shared/errors.ts";
import { isInZone, type Name } from "../shared/name.ts";
import { inZoneEndpoints } from "./in-zone.ts";
import { plainEndpoint, type Resolution } from "./resolution.ts";
import { createStub } from "./stub.ts";

/** Where a program wants to go. `name` is its own text, unchecked but never empty. */
export type Destination =
  | { kind: "address"; address: Address; port: number }
  | { kind: "name"; name: string; port: number };

export interface Resolvers {
  zone: Name;
  doh: DohServers;
  /** What becomes of destinations outside the zone. */
  outside: "allow" | "deny";
  /** The system's addresses of a name, best first. Rejects as node:dns does: ENOTFOUND when there is none. */
  lookup: (name: string) => Promise<Address[]>;
}

/** Where to connect for `destination`. Every outcome is a value; `signal` ends the asking, which then reads as no answer. */
export async function endpointsFor(
  destination: Destination,
  resolvers: Resolvers,
  signal: AbortSignal,
): Promise<Resolution> {
  const { zone, doh, outside, lookup } = resolvers;
  // The system would map it first (UTS 46), and full-width dots and letters can map into the zone. Clients send A-labels (RFC 5890).
  if (destination.kind === "name" && /\P{ASCII}/u.test(destination.name)) {
    return {
      kind: "bad-name",
      reason: "it has characters beyond ASCII; the client must send A-labels (xn--)",
    };
  }
  if (destination.kind === "name" && isWrittenInZone(destination.name, zone)) {
    return inZoneEndpoints(destination.name, destination.port, zone, createStub(doh, signal));
  }
  if (outside === "deny") return { kind: "not-allowed" };
  if (destination.kind === "name")
    return outsideEndpoints(destination.name, destination.port, lookup, signal);
  return plainEndpoint([destination.address], destination.port);
}

/** By its text, before it is parsed: a bad name below the zone is a bad name, not a question for the system's resolver. */
function isWrittenInZone(text: string, zone: Name): boolean {
  return isInZone(`${text.toLowerCase().replace(/\.+$/, "")}.` as Name, zone);
}

async function outsideEndpoints(
  name: string,
  port: number,
  lookup: Resolvers["lookup"],
  signal: AbortSignal,
): Promise<Resolution> {
  // Outside the zone the system decides what a name may look like; but no name has spaces or control characters, and a NUL would
  // make getaddrinfo(3) read another name than the log shows.
  if (/[\s\p{Cc}]/u.test(name)) return { kind: "bad-name", reason: "it has characters no name has" };
  try {
    const addresses = await Promise.race([lookup(name), rejectOnAbort(signal)]);
    if (addresses.length > 0) return plainEndpoint(addresses, port);
    return { kind: "not-found", reason: "the system knows no address of it" };
  } catch (fault) {
    const kind = hasCode(fault, "ENOTFOUND") ? "not-found" : "no-answer";
    return { kind, reason: describeFault(fault) };
  }
}

/** getaddrinfo(3) cannot be ended, only be left alone. */
function rejectOnAbort(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  return promise;
}

function hasCode(fault: unknown, code: string): boolean {
  return fault instanceof Error && "code" in fault && fault.code === code;
}
