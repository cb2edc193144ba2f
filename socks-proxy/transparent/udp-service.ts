import { type Candidate, candidatesOf } from "../../client/connect/endpoint-order.ts";
import { parseAddress } from "../../shared/address.ts";
import { displayName, type Name } from "../../shared/name.ts";
import { judgedResolve, judgeFor } from "../policy/judged.ts";
import type { PortAt } from "./open-ports.ts";
import type { TransparentContext } from "./tcp-clients.ts";

/** Of all UDP services together. */
const mostSessions = 4_096;

/** Finds where a UDP service is, as the policy lets programs of this machine go there. */
export function createUdpFind({ stub, policy, times }: TransparentContext, random: () => number) {
  const resolve = judgedResolve(stub, judgeFor(parseAddress("127.0.0.1"), policy, stub));
  return async function find(name: Name, at: PortAt, fresh: boolean): Promise<Candidate[] | undefined> {
    const destination = { kind: "name", name: displayName(name), port: at.port } as const;
    const signal = AbortSignal.timeout(times.resolve);
    const resolution = await resolve(destination, { protocol: "udp", fresh, signal });
    return resolution.kind === "endpoints" ? candidatesOf(resolution.endpoints, random) : undefined;
  };
}

/** Counts the sessions of all services. */
export class SessionLimit {
  count = 0;

  /** One more; undefined when there are as many as there may be. What it gives back is to be called once. */
  admit(): (() => void) | undefined {
    if (this.count >= mostSessions) return undefined;
    this.count++;
    return () => {
      this.count--;
    };
  }
}
