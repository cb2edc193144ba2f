import { type LookupOptions, lookup as systemLookup } from "node:dns";

import { type Address, familyOf } from "../../shared/address.ts";
import { RRType } from "../../shared/dns/constants.ts";
import { addressesFromAnswer } from "../../shared/dns/endpoints.ts";
import { BerthError } from "../../shared/errors.ts";
import { type Name, parseName } from "../../shared/name.ts";
import type { Answer } from "../answers/stub.ts";
import type { StubResolver } from "../stub-resolver.ts";
import type { LookupCallback, NameLookup } from "./client-types.ts";

/** Asks `stub` for names of its zones, and hands every other name to the system as it came. */
export function createNameLookup(stub: StubResolver): NameLookup {
  return function lookup(
    hostname: string,
    given: LookupOptions | number | LookupCallback,
    last?: LookupCallback,
  ): void {
    const callback = typeof given === "function" ? given : last;
    if (callback === undefined) throw new TypeError("lookup needs a callback, as dns.lookup does");
    const options = optionsFrom(given);
    addressesOf(hostname, options, stub).then(
      (addresses) => {
        if (addresses === "not ours") systemLookup(hostname, options, callback);
        else answer(addresses, options, callback);
      },
      (fault: NodeJS.ErrnoException) => callback(fault, ""),
    );
  };
}

function optionsFrom(given: LookupOptions | number | LookupCallback): LookupOptions {
  if (typeof given === "function") return {};
  return typeof given === "number" ? { family: given } : given;
}

function answer(addresses: readonly Address[], { all }: LookupOptions, callback: LookupCallback): void {
  const [first] = addresses;
  if (all)
    callback(
      null,
      addresses.map((address) => ({ address, family: familyOf(address) })),
    );
  else if (first !== undefined) callback(null, first, familyOf(first));
}

/** At least one, or that the name is the system's. Rejects with the codes of `dns.lookup`. */
async function addressesOf(
  hostname: string,
  options: LookupOptions,
  stub: StubResolver,
): Promise<readonly Address[] | "not ours"> {
  if ((await stub.zoneOnceKnown(hostname)) === undefined) return "not ours";
  const name = parsed(hostname);
  const types = typesOf(options);
  const answers = await Promise.all(types.map((type) => stub.ask(name, type, {})));
  const addresses = answers.flatMap((each) =>
    each.kind === "exists" ? addressesFromAnswer(each.response) : [],
  );
  if (addresses.length > 0) return addresses;
  throw noAddress(hostname, answers);
}

function parsed(hostname: string): Name {
  try {
    return parseName(hostname);
  } catch (fault) {
    if (fault instanceof BerthError) throw lookupFault("ENOTFOUND", hostname, fault.message);
    throw fault;
  }
}

/** In the order their answers are wanted: IPv6 first, as RFC 6724 and RFC 8305 would, unless IPv4 is asked for first. */
function typesOf({ family, order }: LookupOptions): number[] {
  if (family === 4 || family === "IPv4") return [RRType.A];
  if (family === 6 || family === "IPv6") return [RRType.AAAA];
  return order === "ipv4first" ? [RRType.A, RRType.AAAA] : [RRType.AAAA, RRType.A];
}

function noAddress(hostname: string, answers: readonly Answer[]): Error {
  const failed = answers.find((each) => each.kind === "failed");
  if (failed === undefined) return lookupFault("ENOTFOUND", hostname, "it has no address");
  return lookupFault("EAI_AGAIN", hostname, failed.failure.reason);
}

/** With the members that programs look for at what `dns.lookup` throws. */
function lookupFault(code: string, hostname: string, text: string): BerthError {
  const retryable = code === "EAI_AGAIN";
  const fault = new BerthError(code, `${code} ${hostname}: ${text}`, { who: hostname, retryable });
  return Object.assign(fault, { syscall: "getaddrinfo", hostname });
}
