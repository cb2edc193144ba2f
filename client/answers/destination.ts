import type { Address } from "../../shared/address.ts";
import { describeFault } from "../../shared/errors.ts";
import { isInZone, type Name } from "../../shared/name.ts";
import { plainEndpoint, type Resolution } from "./resolution.ts";

/** Where a program wants to go. `name` is its own text, unchecked but never empty. */
export type Destination =
  | { kind: "address"; address: Address; port: number }
  | { kind: "name"; name: string; port: number };

/** Why `name` is none that anybody could be asked about, in a zone or outside; undefined when it may be one. */
export function faultOfText(name: string): string | undefined {
  // The system would map it first (UTS 46), and full-width dots and letters can map into the zone. Clients send A-labels (RFC 5890).
  if (/\P{ASCII}/u.test(name)) {
    return "it has characters beyond ASCII; the client must send A-labels (xn--)";
  }
  return undefined;
}

/**
 * The zone, of several the one deepest in the tree, that `text` is written in. By its text, before it is parsed: a bad name below a zone
 * is a bad name, not a question for the system's resolver.
 */
export function zoneOfText(text: string, zones: readonly Name[]): Name | undefined {
  const name = nameAsWritten(text);
  let deepest: Name | undefined;
  for (const zone of zones) {
    if (zone.length > (deepest?.length ?? 0) && isInZone(name, zone)) deepest = zone;
  }
  return deepest;
}

/** What `parseName` makes of a name that is one. */
export function nameAsWritten(text: string): Name {
  let end = text.length;
  while (text[end - 1] === ".") end--;
  return `${text.slice(0, end).toLowerCase()}.` as Name;
}

/** RFC 1035 §2.3.4, written with dots, the last one included. */
const longestName = 254;

/** The system's addresses of a name outside the zones, as `lookup` finds them. Every outcome is a value. */
export async function outsideEndpoints(
  name: string,
  port: number,
  lookup: (name: string) => Promise<readonly Address[]>,
  signal: AbortSignal,
): Promise<Resolution> {
  // Outside the zone the system decides what a name may look like; but no name has spaces or control characters, and a NUL would
  // make getaddrinfo(3) read another name than the log shows.
  if (/[\s\p{Cc}]/u.test(name)) return { kind: "bad-name", reason: "it has characters no name has" };
  if (name.length > longestName) return { kind: "bad-name", reason: "it is longer than a name can be" };
  try {
    const addresses = await untilAborted(lookup(name), signal);
    if (addresses.length > 0) return plainEndpoint(addresses, port, false);
    return { kind: "not-found", reason: "the system knows no address of it" };
  } catch (fault) {
    const kind = hasCode(fault, "ENOTFOUND") ? "not-found" : "no-answer";
    return { kind, reason: describeFault(fault) };
  }
}

/** getaddrinfo(3) cannot be ended, only be left alone. */
function untilAborted<T>(found: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const leave = (): void => reject(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  found.then(resolve, reject);
  return promise.finally(() => signal.removeEventListener("abort", leave));
}

function hasCode(fault: unknown, code: string): boolean {
  return fault instanceof Error && "code" in fault && fault.code === code;
}
