import type { EngineAbout } from "./engine.ts";
import type { EngineEvent } from "./event-lines.ts";
import type { ContainerFacts } from "./facts.ts";
import type { Stops } from "./stops.ts";

/** What is known when an event comes. */
export interface Known {
  kind: EngineAbout["kind"] | undefined;
  /** Of the container that the event is about. */
  facts: ContainerFacts | undefined;
  /** The facts are at least as new as the event: nobody is about to look, or is looking, at the container. */
  isSettled: boolean;
}

/**
 *   nothing     no fact can have changed
 *   look        it has to be looked at
 *   look-twice  and once more a little later: the event can come before its effect
 *   draining    it serves no more; looking at it now would wait for the lock that the engine holds until it is gone
 */
export type Meaning = "nothing" | "look" | "look-twice" | "draining";

/** What an event means for what is declared. `stops` is told of signals and stops. */
export function meaningOf(event: EngineEvent, known: Known, stops: Stops): Meaning {
  switch (event.kind) {
    case "nothing":
      return "nothing";
    case "look":
      // Podman tells of every probe.
      return event.health !== undefined && known.isSettled && known.facts?.health === event.health
        ? "nothing"
        : "look";
    case "probe":
      return meaningOfProbe(event.passed, known.facts);
    case "stopping": {
      // Docker's own `stop` comes when the container has stopped.
      const isStop = event.signal !== undefined || known.kind === "podman";
      const isTaken = isStop && stops.take(event.id, event.signal, event.atMs);
      return isTaken && known.facts?.running === true && stops.has(known.facts) ? "draining" : "look";
    }
  }
}

/** Podman 4.3's health events tell how things were before the probe; its outcome tells whether that can have changed. */
function meaningOfProbe(passed: boolean, facts: ContainerFacts | undefined): Meaning {
  const health = facts?.health ?? "none";
  return health === "none" || health === (passed ? "healthy" : "unhealthy") ? "nothing" : "look-twice";
}
