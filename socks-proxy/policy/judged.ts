import type { Destination } from "../../client/answers/destination.ts";
import type { Resolution } from "../../client/answers/resolution.ts";
import type { StubResolver } from "../../client/stub-resolver.ts";
import type { Address } from "../../shared/address.ts";
import { judge, judgeResolution, type Policy } from "./policy.ts";

/** The policy as one client meets it. */
export interface Judge {
  /** What keeps it from being asked for at all, before anything is resolved. */
  before(destination: Destination): Extract<Resolution, { kind: "not-allowed" }> | undefined;
  /** What is left of a resolution. */
  after(resolution: Resolution, destination: Destination): Resolution;
}

export function judgeFor(
  client: Address | undefined,
  policy: Policy,
  stub: Pick<StubResolver, "zoneOf">,
): Judge {
  function asked(destination: Destination) {
    const inZone = destination.kind === "name" && stub.zoneOf(destination.name) !== undefined;
    return { destination, inZone, client };
  }
  return {
    before(destination) {
      const verdict = judge(policy, asked(destination));
      return verdict.kind === "denied" ? { kind: "not-allowed", reason: verdict.reason } : undefined;
    },
    after: (resolution, destination) => judgeResolution(policy, asked(destination), resolution),
  };
}

/** Resolves what the client may ask for, to where it may go. */
export function judgedResolve(
  stub: Pick<StubResolver, "resolve">,
  judgement: Judge,
): StubResolver["resolve"] {
  return async function resolve(destination, question) {
    const denied = judgement.before(destination);
    if (denied !== undefined) return denied;
    return judgement.after(await stub.resolve(destination, question), destination);
  };
}
