import type { EngineEvent } from "./event-lines.ts";

/** A container as the engine's list shows it. */
export interface ContainerSummary {
  id: string;
  /** Without Docker's leading slash. */
  name: string;
  /** Everything the list says about it, except how long ago: equal fingerprints mean that nothing needs another look. */
  fingerprint: string;
}

/** Whatever the engine answered about one container or image; facts.ts narrows it. */
export type EngineInspect = Readonly<Record<string, unknown>>;

/** What an engine is; found out by asking, never configured. */
export interface EngineAbout {
  kind: "docker" | "podman";
  /** As it calls itself, such as 20.10.24; "" when it does not say. */
  version: string;
  /** Its containers' own addresses are in a network namespace that other programs of this machine do not reach. */
  rootless: boolean;
  /** Its containers outlive it. */
  liveRestore: boolean;
}

/** An open event stream. */
export interface Watch {
  close(): void;
}

/**
 * A container engine, read only. Every method throws a BerthError: `engine-unreachable` when no answer came (facts.gone tells an engine
 * that is not there from one that is silent), `engine-fault` when it answered something else than asked. None waits for ever.
 */
export interface Engine {
  /** How people name it, for messages. */
  readonly where: string;
  /** The containers that run, are paused or restart; an exited one has no ports. Podman leaves out those that it is stopping. */
  list(): Promise<ContainerSummary[]>;
  /** Undefined when the container is gone. */
  inspect(id: string): Promise<EngineInspect | undefined>;
  /** Undefined when the image is gone, or may not be looked at. */
  inspectImage(id: string): Promise<EngineInspect | undefined>;
  /**
   * Resolves once the engine has taken the subscription. `onEvent` is called with every event that may change a fact, and when the engine
   * has become silent. A stream that is cut on its way is taken up again, where the engine proves to be the very process of before, and no
   * event is lost. `onBroken` is called at most once, when the stream ends otherwise and not by `close`: the engine's process has gone.
   */
  watchEvents(onEvent: (event: EngineEvent) => void, onBroken: (fault: Error) => void): Promise<Watch>;
  about(): Promise<EngineAbout>;
  /** Ends every call under way with a fault. */
  close(): void;
}
