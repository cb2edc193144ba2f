import { type Address, parseAddress } from "../shared/address.ts";
import { BerthError } from "../shared/errors.ts";

/** What a request says of where it comes from. */
export interface Origin {
  /** The other end of the connection, as the runtime writes it; undefined where the runtime does not tell. */
  peer: string | undefined;
  /** X-Forwarded-For, all of its lines in one. */
  forwardedFor: string | undefined;
}

/**
 * The address a request comes from, as this resolver sees it. Every proxy adds to X-Forwarded-For, at its end, whom it was asked by; what
 * stands before that, anybody may have made up. So an entry counts as far as those behind it are `trusted` proxies, and the first one that
 * is none is the answer. Throws a BerthError `not-supported` where nobody tells.
 */
export function observedFrom({ peer, forwardedFor }: Origin, trusted: readonly Address[]): Address {
  const own = addressIn(peer ?? "");
  if (own === undefined) throw unknown("this resolver does not learn where requests come from");
  let address = own;
  for (const entry of (forwardedFor ?? "").split(",").toReversed()) {
    if (!trusted.includes(address)) break;
    const before = addressIn(entry.trim());
    // Not the proxy's own address in its place: that would send everybody's clients to the proxy.
    if (before === undefined) {
      throw unknown(
        `the proxy at ${address} says no address in X-Forwarded-For; have it add whom it was asked by`,
      );
    }
    address = before;
  }
  return address;
}

/** Some write a port behind the address, and a link-local one has its interface. An IPv4-mapped address becomes its IPv4 one. */
function addressIn(text: string): Address | undefined {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\](?::\d+)?|([\d.]+):\d+)$/.exec(text) ?? [];
  return parseAddress((bracketed ?? plain ?? text).replace(/%.*$/, ""));
}

function unknown(what: string): BerthError {
  return new BerthError("not-supported", `${what}; start the agent with --advertise ADDRESS`);
}
