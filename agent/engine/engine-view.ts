import type { Declared, Problem } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import { bindingsFromContainers } from "../declare/bindings.ts";
import { problemsWithinLimits } from "../declare/limits.ts";
import { problemOf } from "../problem.ts";
import type { Site } from "../site.ts";
import type { EngineRead } from "./inventory.ts";

/**
 * What may be said about an engine's containers at some moment:
 *
 *   last good read                        | what is declared
 *   none yet                              | nothing at all, not even an empty set
 *   younger than the grace                | all of it
 *   same, the engine is gone, its         | its fixed ports: the containers are dying, and the next
 *     containers with it                  |   engine life gives ephemeral ones to others
 *   same, a new engine life not read yet  | nothing is said, nothing renewed
 *   older than the grace, or none by then | no bindings, and a problem that says why
 */
export interface EngineView {
  /** Undefined before the first good read. */
  read: EngineRead | undefined;
  /** When the last good read began; before the first one, when the agent started. */
  readAt: number;
  /** The read engine's containers outlive it. */
  liveRestore: boolean;
  /** What went wrong first since the last good read. */
  fault: Error | undefined;
  /** The engine's process has ended since the last good read. */
  gone: boolean;
  /** The engine was reached again, and not read since. */
  unread: boolean;
}

export function firstView(now: number): EngineView {
  return { read: undefined, readAt: now, liveRestore: false, fault: undefined, gone: false, unread: false };
}

export function afterRead(read: EngineRead, readAt: number, liveRestore: boolean): EngineView {
  return { read, readAt, liveRestore, fault: undefined, gone: false, unread: false };
}

export function afterFault(view: EngineView, fault: Error, gone: boolean): EngineView {
  // The first fault is kept: its words go into a push, which must not change with each attempt.
  return { ...view, fault: view.fault ?? fault, gone: view.gone || gone };
}

export function afterReconnect(view: EngineView): EngineView {
  return { ...view, unread: true };
}

/** The host's whole set as it can be vouched for at `now`; undefined while nothing can be said. `notes` are for a debug log. */
export function declaredFrom(
  view: EngineView,
  site: Site,
  now: number,
  graceMs: number,
): { declared: Declared; notes: string[] } | undefined {
  const { zone: _, ...host } = site;
  const own = { ...host, addresses: [...site.addresses] };
  if (now - view.readAt >= graceMs) {
    const problem = engineProblem(
      view,
      `was not read for ${graceMs / 1000} s, so its containers are not declared`,
    );
    return { declared: { ...own, bindings: [], problems: [problem] }, notes: [] };
  }
  if (view.read === undefined || view.unread) return undefined;
  const { bindings, problems, notes } = bindingsFromContainers(view.read.containers, site);
  const kept = view.gone && !view.liveRestore ? bindings.filter(({ fixed }) => fixed) : bindings;
  const all = [...view.read.problems, ...problems];
  if (kept.length < bindings.length)
    all.push(engineProblem(view, "has ended, so ports that it chose itself are not declared"));
  return { declared: { ...own, bindings: kept, problems: problemsWithinLimits(all) }, notes };
}

function engineProblem(view: EngineView, what: string): Problem {
  const reason = view.fault === undefined ? "" : `: ${describeFault(view.fault)}`;
  return problemOf("", "engine-unreachable", `the container engine ${what}${reason}`);
}
