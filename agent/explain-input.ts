import type { Problem, PushReply } from "../shared/binding.ts";
import type { ExplainInput } from "./declare/explain.ts";
import type { DeclareInput, DeclareOutcome, PlacedContainer } from "./declare/input.ts";
import type { Untold } from "./engine/untold.ts";
import { problemOf } from "./problem.ts";

export interface ExplainSources {
  /** Undefined before anything could be declared. */
  last: { input: DeclareInput; outcome: DeclareOutcome } | undefined;
  untold: Untold;
  /** What is wrong with files of services, and could not be read of them. */
  serviceProblems: readonly Problem[];
  /** What a check found wrong last. */
  faultOf(checkKey: string): string | undefined;
  refused: PushReply["refused"];
}

/** What an explanation is made of: what was declared of last, without that of which nothing may be said any more, and what is known besides. */
export function explainInput(sources: ExplainSources): ExplainInput {
  const { last, untold, serviceProblems, faultOf, refused } = sources;
  const { withheld } = untold;
  const unread = [...untold.unread, ...serviceProblems];
  if (last === undefined) return { ...nothing, withheld, unread: [...unread, notYet] };
  const checkFaults = new Map<string, string>();
  for (const { key } of last.outcome.checks) {
    const fault = faultOf(key);
    if (fault !== undefined) checkFaults.set(key, fault);
  }
  const refusals = new Map(refused.map(({ name, message }) => [name, message]));
  const isWithheld = new Set([...withheld.keys()].map(placeText));
  const containers = last.input.containers.filter((placed) => !isWithheld.has(placeText(placed)));
  return { ...last.input, containers, checkFaults, refusals, withheld, unread };
}

const notYet: Problem = problemOf("", "not-declared", "this agent has declared nothing yet");
const nothing: DeclareInput = {
  ...{ containers: [], services: [], site: { addresses: [], local: false } },
  ...{ relays: new Map(), checks: new Map(), flapping: new Set() },
};

/** Two engines may report one container. */
function placeText({ container, engine }: PlacedContainer): string {
  return `${engine} ${container.id}`;
}
