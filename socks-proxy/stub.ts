import { Rcode, rcodeName } from "../shared/dns/constants.ts";
import type { Response as DnsResponse } from "../shared/dns/message.ts";
import { type DohServer, queryDoh } from "../shared/doh-client.ts";
import { BerthError, describeFault } from "../shared/errors.ts";
import { displayName, type Name } from "../shared/name.ts";

/** A stub resolver's three outcomes. `exists` may be NODATA: the name is there, with or without RRs of the type asked for. */
export type Answer =
  | { kind: "exists"; response: DnsResponse }
  | { kind: "nxdomain" }
  | { kind: "failed"; reason: string };

export type Stub = (name: Name, type: number) => Promise<Answer>;

/** A stub resolver that asks one DoH server until `signal` aborts. Never rejects for what a server or a network does. */
export function createStub(doh: DohServer, signal: AbortSignal): Stub {
  return async function ask(name, type) {
    let response: DnsResponse;
    try {
      response = await queryDoh(doh, name, type, { signal });
    } catch (fault) {
      if (fault instanceof BerthError) return { kind: "failed", reason: describeFault(fault) };
      throw fault;
    }
    if (response.rcode === Rcode.NXDomain) return { kind: "nxdomain" };
    // A truncated answer has lost its RRs: taken at its word it would be NODATA.
    if (response.rcode === Rcode.NoError && !response.truncated) return { kind: "exists", response };
    const what = response.truncated ? "a truncated answer" : rcodeName(response.rcode);
    return { kind: "failed", reason: `${doh.url} answered ${what} for ${displayName(name)}` };
  };
}
