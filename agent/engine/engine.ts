/** A container as the engine's list shows it. */
export interface ContainerSummary {
  id: string;
  /** Without Docker's leading slash. */
  name: string;
  /** Everything the list says about it, except how long ago: equal fingerprints mean that nothing needs another look. */
  fingerprint: string;
}

/** Whatever the engine answered about one container; facts.ts narrows it. */
export type EngineInspect = Readonly<Record<string, unknown>>;

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
  /** The containers that run, are paused or restart; an exited one has no ports. */
  list(): Promise<ContainerSummary[]>;
  /** Undefined when the container is gone. */
  inspect(id: string): Promise<EngineInspect | undefined>;
  /**
   * Resolves once the engine has taken the subscription. `onHint` is called with the container an event is about, or without one when it
   * is not known. `onBroken` is called at most once, when the stream ends other than by `close`: the engine's process has gone.
   */
  watchEvents(onHint: (id: string | undefined) => void, onBroken: (fault: Error) => void): Promise<Watch>;
  /** Whether its containers outlive it. */
  liveRestore(): Promise<boolean>;
  /** Ends every call under way with a fault. */
  close(): void;
}
