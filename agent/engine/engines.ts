import type { Problem } from "../../shared/binding.ts";
import type { PlacedContainer } from "../declare/input.ts";
import { problemOf } from "../problem.ts";
import type { SiteAddresses } from "../site.ts";
import { type EngineView, engineProblem, outlivesEngine } from "./engine-view.ts";
import type { ContainerFacts } from "./facts.ts";

/** One of the host's engines, as it is known at some moment. */
export interface KnownEngine {
  /** How people tell it from the host's others. */
  label: string;
  view: EngineView;
  /** Where its published ports are open. */
  site: SiteAddresses;
  /** Whether this machine can connect to its containers' own addresses. */
  isNear: boolean;
}

export interface JoinedEngines {
  containers: PlacedContainer[];
  problems: Problem[];
}

/** How long an engine that may be about to answer holds up what the others say. */
const patienceMs = 5_000;

/**
 * What all engines together say at `now`; undefined while nothing may be said. An engine alone is what the table of EngineView says.
 * Of several, each is as that table says for itself, and:
 *
 *   not read yet, or not since it is back  | for 5 s, while somebody is there: nothing at all is said; then, or when
 *                                          |   nobody is there: the others speak without it, and a problem says so
 *   none of them can say anything          | nothing is said
 *   a container that two of them report    | counts as the first one's
 *
 * No engines at all say that there are no containers.
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
    const engine = engines[index];
    if (part === "waits" || engine === undefined) return;
    const { site, isNear } = engine;
    const label = several ? engine.label : "";
    const twice = part.containers.filter(({ id }) => firstBy.has(id));
    for (const container of part.containers) {
      if (firstBy.has(container.id)) continue;
      firstBy.set(container.id, index);
      const placed = { container, engine: label, site, isNear };
      joined.containers.push(part.fixedOnly ? { ...placed, fixedOnly: true } : placed);
    }
    joined.problems.push(...part.problems.map((problem) => (index === 0 ? problem : named(problem, label))));
    const earlier = engines[firstBy.get(twice[0]?.id ?? "") ?? -1];
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
  const deadlines = engines.flatMap(({ view }) => [
    view.readAt + graceMs,
    (view.read === undefined ? startedAt : (view.unreadSince ?? -Infinity)) + patienceMs,
  ]);
  return Math.min(...deadlines.filter((at) => at > now)) - now;
}

interface Moment {
  several: boolean;
  now: number;
  graceMs: number;
  startedAt: number;
}

/** `isSaid`: the engine was read, or is out of grace; otherwise the part only says that it is missing. */
interface Part {
  isSaid: boolean;
  containers: readonly ContainerFacts[];
  problems: readonly Problem[];
  fixedOnly: boolean;
}

function partOf({ label, view }: KnownEngine, moment: Moment): Part | "waits" {
  const { several, now, graceMs, startedAt } = moment;
  const missing = (isSaid: boolean, what: string): Part => {
    const problem = engineProblem(view, `${what}, so its containers are not declared`, several ? label : "");
    return { isSaid, containers: [], problems: [problem], fixedOnly: false };
  };
  if (now - view.readAt >= graceMs) return missing(true, `was not read for ${graceMs / 1000} s`);
  if (view.read === undefined || view.unreadSince !== undefined) {
    const since = view.read === undefined ? startedAt : (view.unreadSince ?? startedAt);
    if (!several || (!view.absent && now < since + patienceMs)) return "waits";
    return missing(false, view.read === undefined ? "was not read yet" : "was not read since it came back");
  }
  const { containers, problems } = view.read;
  const fixedOnly = view.gone && !outlivesEngine(view);
  if (!fixedOnly || !containers.some(hasEphemeralPort))
    return { isSaid: true, containers, problems, fixedOnly };
  const ended = engineProblem(
    view,
    "has ended, so ports that it chose itself are not declared",
    several ? label : "",
  );
  return { isSaid: true, containers, problems: [...problems, ended], fixedOnly };
}

function hasEphemeralPort({ ports }: ContainerFacts): boolean {
  return ports.some(({ fixed }) => !fixed);
}

/** An engine's own problems name it anyway. */
function named(problem: Problem, label: string): Problem {
  if (problem.container === "") return problem;
  return problemOf(problem.container, problem.code, `on the engine ${label}: ${problem.message}`);
}

function twiceProblem(first: string, second: string, containers: readonly ContainerFacts[]): Problem {
  const [one] = containers;
  const which =
    containers.length === 1
      ? `the container ${one?.name}`
      : `${containers.length} containers (${one?.name} is one)`;
  const message = `the engines ${first} and ${second} both report ${which}, counted as ${first}'s; if they are one engine, name it once with --engine`;
  return problemOf("", "engine-twice", message);
}
