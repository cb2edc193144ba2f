import { BerthError, describeFault } from "../../shared/errors.ts";
import type { Log } from "../../shared/log.ts";
import { displayName, type Name, parseName } from "../../shared/name.ts";

export interface ZonePorts {
  log: Log;
  /** Asks the resolvers, within a time limit of its own. */
  list: () => Promise<readonly Name[]>;
  /** Runs `run` once after `ms`; the function returned calls it off. */
  after: (ms: number, run: () => void) => () => void;
  /** Told when the zones are others than before. */
  onChange: (zones: readonly Name[]) => void;
}

const usualZones = [parseName("berth.internal")];
const whenFineMs = 600_000;
const firstWaitMs = 1_000;
const longestWaitMs = 60_000;
/** A resolver has one zone, or a few. */
const mostZones = 64;

/** The zones that resolvers answer for: asked for again and again, for as long as it is not stopped. */
export class LearntZones {
  readonly #ports: ZonePorts;
  readonly #first = Promise.withResolvers<void>();
  #zones: readonly Name[];
  /** Nobody waits for what is known from before. */
  #wasAsked: boolean;
  #failures = 0;
  #stop = (): void => {};
  #isStopped = false;

  /** `known` is what was learnt in an earlier life. */
  constructor(known: readonly Name[] | undefined, ports: ZonePorts) {
    this.#zones = known ?? usualZones;
    this.#wasAsked = known !== undefined;
    this.#ports = ports;
  }

  current(): readonly Name[] {
    return this.#zones;
  }

  /** Resolves when the resolvers were asked once, whatever came of it; undefined when that is over, or an earlier life has learnt them. */
  firstAsked(): Promise<void> | undefined {
    return this.#wasAsked ? undefined : this.#first.promise;
  }

  async start(): Promise<void> {
    const wait = await this.#learn();
    this.#wasAsked = true;
    this.#first.resolve();
    if (!this.#isStopped) this.#stop = this.#ports.after(wait, () => void this.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#stop();
  }

  /** Milliseconds until it should be tried again. */
  async #learn(): Promise<number> {
    try {
      this.#take(acceptable(await this.#ports.list()));
      this.#failures = 0;
      return whenFineMs;
    } catch (fault) {
      if (this.#failures === 0 && !this.#isStopped) this.#tell(fault);
      return Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(this.#failures++, 30));
    }
  }

  #take(zones: readonly Name[]): void {
    const isNew = zones.join() !== this.#zones.join();
    if (isNew || this.#failures > 0) this.#ports.log.info(`the resolver answers for ${shownZones(zones)}`);
    if (!isNew) return;
    this.#zones = zones;
    this.#ports.onChange(zones);
  }

  #tell(fault: unknown): void {
    const shown = shownZones(this.#zones);
    this.#ports.log.warn(`the resolver's zones are not known, so ${shown} it is: ${describeFault(fault)}`);
  }
}

/** The root would take every name there is away from the system, and no zone leaves nothing to ask for. */
function acceptable(zones: readonly Name[]): readonly Name[] {
  const some = [...new Set(zones)].filter((zone) => zone !== ".").slice(0, mostZones);
  if (some.length > 0) return some.toSorted();
  throw new BerthError("bad-reply", "the resolver names no zone that it could answer for", {
    retryable: true,
  });
}

function shownZones(zones: readonly Name[]): string {
  return zones.map(displayName).join(", ");
}
