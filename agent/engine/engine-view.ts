import type { Problem } from "../../shared/binding.ts";
import { describeFault } from "../../shared/errors.ts";
import { problemOf } from "../problem.ts";
import type { EngineAbout } from "./engine.ts";
import type { ContainerFacts } from "./facts.ts";
import type { Stops } from "./stops.ts";

/** What one engine's containers are. */
export interface EngineRead {
  containers: readonly ContainerFacts[];
  problems: readonly Problem[];
  /** Running, and told to stop: they serve what they have begun and take nothing new. */
  draining: readonly ContainerFacts[];
}

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
  /** When the last good list was asked for; before the first one, when the agent started. */
  readAt: number;
  /** Undefined before the engine has answered. */
  about: EngineAbout | undefined;
  /** What went wrong first since the last good read. */
  fault: Error | undefined;
  /** The engine's process has ended since the last good read. */
  gone: boolean;
  /** Nobody is there: the last attempt met no engine, not even a silent one. */
  absent: boolean;
  /** Since when the engine is reached again, and was not read; undefined when it was. */
  unreadSince: number | undefined;
}

export function firstView(now: number): EngineView {
  const none = { read: undefined, about: undefined, fault: undefined, unreadSince: undefined };
  return { ...none, readAt: now, gone: false, absent: false };
}

export function afterRead(read: EngineRead, readAt: number, about: EngineAbout): EngineView {
  return { read, readAt, about, fault: undefined, gone: false, absent: false, unreadSince: undefined };
}

/** Single containers were looked at since the last good list, which stays the one that vouches for the others. */
export function afterLook(view: EngineView, read: EngineRead): EngineView {
  return { ...view, read };
}

export function afterFault(view: EngineView, fault: Error, gone: boolean): EngineView {
  // The first fault is kept: its words go into a push, which must not change with each attempt.
  return { ...view, fault: view.fault ?? fault, gone: view.gone || gone, absent: gone };
}

export function afterReconnect(view: EngineView, now: number): EngineView {
  return { ...view, absent: false, unreadSince: now };
}

export function readFrom(
  found: readonly ContainerFacts[],
  problems: readonly Problem[],
  stops: Stops,
): EngineRead {
  const isDraining = found.map((facts) => facts.stopping === true || (facts.running && stops.has(facts)));
  const containers = found.filter((_, index) => isDraining[index] === false);
  return { containers, problems, draining: found.filter((_, index) => isDraining[index]) };
}

/** Podman has no process that its containers could die with. */
export function outlivesEngine({ about }: EngineView): boolean {
  return about?.kind === "podman" || about?.liveRestore === true;
}

/** `label` tells one engine from the host's others; "" where there is one. `fault` stays the same while the trouble lasts. */
export function engineProblem(what: string, label: string, fault: Error | string | undefined): Problem {
  const reason = fault === undefined ? "" : `: ${describeFault(fault)}`;
  const engine = label === "" ? "the container engine" : `the container engine ${label}`;
  return problemOf("", "engine-unreachable", `${engine} ${what}${reason}`);
}
