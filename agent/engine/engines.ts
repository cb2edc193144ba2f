import type { Problem } from "../../shared/binding.ts";
import type { PlacedContainer } from "../declare/input.ts";
import { problemOf } from "../problem.ts";
import { deadlinesOf, type KnownEngine, type Moment, standingOf } from "./engine-standing.ts";
import { engineProblem } from "./engine-view.ts";
import type { ContainerFacts } from "./facts.ts";

export interface JoinedEngines {
  containers: PlacedContainer[];
  problems: Problem[];
}

/**
 * What all engines together say at `now`; undefined while nothing may be said. An engine alone is what the table of EngineView says.
 * Of several, each is as that table says for itself, and:
 *
 *   not read yet, or not since it is back  | for 5 s, while somebody is there: nothing at all is said; then, or when
 *                                          |   nobody is there: the others speak without it, and a problem says so
 *   read, and nobody knows its address     | as one that was not read yet
 *   none of them can say anything          | nothing is said
 *   a container that two of them report    | counts as the first one's
 *
 * `engines` are all that the operator named: one left out would count as one without containers. No engines at all say that there are none.
 */
export function joinEngines(
  engines: readonly KnownEngine[],
  now: number,
  graceMs: number,
  startedAt: number,
): JoinedEngines | undefined {
  const several = engines.length > 1;
  const parts = engines.map((engine) => partOf(engine, { several, now, graceMs, startedAt }));
  const isSaid = engines.length === 0 || parts.some((part) => typeof part === "object" && part.isSaid);
  if (parts.includes("waits") || !isSaid) return undefined;
  const joined: JoinedEngines = { containers: [], problems: [] };
  const firstBy = new Map<string, number>();
  parts.forEach((part, index) => {
    const label = engines[index]?.label ?? "";
    if (part === "waits") return;
    const twice = part.containers.filter(({ container }) => firstBy.has(container.id));
    for (const placed of part.containers) {
      if (firstBy.has(placed.container.id)) continue;
      firstBy.set(placed.container.id, index);
      joined.containers.push(placed);
    }
    joined.problems.push(...part.problems.map((problem) => (index === 0 ? problem : named(problem, label))));
    const earlier = engines[firstBy.get(twice[0]?.container.id ?? "") ?? -1];
    if (earlier !== undefined) joined.problems.push(twiceProblem(earlier.label, label, twice));
  });
  return joined;
}

/** Milliseconds from `now` until `joinEngines` may say something else although nothing happens; Infinity when it will not. */
export function msToNextChange(
  engines: readonly KnownEngine[],
  now: number,
  graceMs: number,
  startedAt: number,
): number {
  const deadlines = engines.flatMap((engine) => deadlinesOf(engine, graceMs, startedAt));
  return Math.min(...deadlines.filter((at) => at > now)) - now;
}

/** `isSaid`: the engine was read, or is out of grace; otherwise the part only says that it is missing. */
interface Part {
  isSaid: boolean;
  containers: readonly PlacedContainer[];
  problems: readonly Problem[];
}

function partOf(engine: KnownEngine, moment: Moment): Part | "waits" {
  const { view, isNear } = engine;
  const label = moment.several ? engine.label : "";
  const standing = standingOf(engine, moment);
  if (standing.is === "waits") return "waits";
  if (standing.is !== "said") {
    const problem = engineProblem(
      `${standing.what}, so its containers are not declared`,
      label,
      standing.fault,
    );
    return { isSaid: standing.is === "lapsed", containers: [], problems: [problem] };
  }
  const { site, fixedOnly } = standing;
  const { containers: found = [], problems = [] } = view.read ?? {};
  const containers = found.map((container): PlacedContainer => {
    const placed = { container, engine: label, site, isNear };
    return fixedOnly ? { ...placed, fixedOnly } : placed;
  });
  if (!fixedOnly || !found.some(hasEphemeralPort)) return { isSaid: true, containers, problems };
  const what = "has ended, so ports that it chose itself are not declared";
  return { isSaid: true, containers, problems: [...problems, engineProblem(what, label, view.fault)] };
}

function hasEphemeralPort({ ports }: ContainerFacts): boolean {
  return ports.some(({ fixed }) => !fixed);
}

/** An engine's own problems name it anyway. */
function named(problem: Problem, label: string): Problem {
  if (problem.container === "") return problem;
  return problemOf(problem.container, problem.code, `on the engine ${label}: ${problem.message}`);
}

function twiceProblem(first: string, second: string, twice: readonly PlacedContainer[]): Problem {
  const name = twice[0]?.container.name;
  const which = twice.length === 1 ? `the container ${name}` : `${twice.length} containers (${name} is one)`;
  const message = `the engines ${first} and ${second} both report ${which}, counted as ${first}'s; if they are one engine, name it once with --engine`;
  return problemOf("", "engine-twice", message);
}
