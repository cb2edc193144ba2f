import type { ServiceChange, Snapshot } from "../shared/changes.ts";
import { describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { Name } from "../shared/name.ts";
import type { ServiceList } from "../shared/registry-views.ts";
import type { ChangeLog } from "./change-log.ts";

/** What a reader knows: everything up to this revision of this life of the registry. */
export interface Position {
  generation: string;
  revision: number;
}

/** `bytes` belong to every reader that is at the same position: nobody may change them. */
export interface FeedEvent {
  after: Position;
  bytes: Uint8Array;
}

/** Runs `run` once after `ms`; the function returned calls it off. */
export interface Timers {
  after(ms: number, run: () => void): () => void;
}

export interface ChangeEventsParts {
  changes: ChangeLog;
  /** The present state of those names, or of all. It is never older than the newest change noted. */
  services: (names?: Name[]) => Promise<ServiceList>;
  timers: Timers;
  log: Log;
}

/** How long an event that was built stands for other readers: after a restart all of them come back within seconds. */
const sharedMs = 1_000;

/** Builds what readers are sent, once for all that need the same. */
export class ChangeEvents {
  readonly #parts: ChangeEventsParts;
  readonly #built = new Map<string, { until: string; event: Promise<FeedEvent> }>();

  constructor(parts: ChangeEventsParts) {
    this.#parts = parts;
  }

  /**
   * What brings a reader from `position` to the present: the names that changed since, or everything when it starts or was away for
   * too long; undefined when nothing changed. Rejects when the registry cannot be read.
   */
  async next(position: Position | undefined): Promise<FeedEvent | undefined> {
    const { changes } = this.#parts;
    const names = position === undefined ? undefined : changes.since(position.generation, position.revision);
    if (position === undefined || names === undefined) return this.#snapshot();
    if (names.length === 0) return undefined;
    return this.#shared(formatEventId(position), () => this.#buildChange(names));
  }

  async #snapshot(): Promise<FeedEvent> {
    const { changes } = this.#parts;
    const { event } = this.#built.get("") ?? {};
    const { after } = (await event?.catch(() => undefined)) ?? {};
    // An old one will do as long as what came after it is known.
    if (event !== undefined && after !== undefined && changes.since(after.generation, after.revision))
      return event;
    return this.#shared("", () => this.#buildSnapshot());
  }

  async #buildSnapshot(): Promise<FeedEvent> {
    const { generation } = this.#parts.changes;
    const { revision, services } = await this.#parts.services();
    const data: Snapshot = { revision, services };
    return encodeEvent({ generation, revision }, "snapshot", data);
  }

  async #buildChange(names: Name[]): Promise<FeedEvent> {
    // Before reading: what changes meanwhile is sent once more with the next event.
    const { generation, revision } = this.#parts.changes;
    const { services } = await this.#parts.services(names);
    const present = new Set(services.map(({ name }) => name));
    const gone = names.filter((name) => !present.has(name));
    const data: ServiceChange = { revision, services, gone };
    return encodeEvent({ generation, revision }, "change", data);
  }

  #shared(key: string, build: () => Promise<FeedEvent>): Promise<FeedEvent> {
    // With the generation: another life of the registry may well reach the same revision.
    const until = formatEventId(this.#parts.changes);
    const found = this.#built.get(key);
    if (found?.until === until) return found.event;
    const event = build();
    const entry = { until, event };
    this.#built.set(key, entry);
    const forget = (): void => {
      if (this.#built.get(key) === entry) this.#built.delete(key);
    };
    event.then(
      () => this.#parts.timers.after(sharedMs, forget),
      (fault: unknown) => {
        forget();
        // Here, once for all the readers that wait for it.
        this.#parts.log.error(`cannot tell readers what changed: ${describeFault(fault)}`);
      },
    );
    return event;
  }
}

export function formatEventId({ generation, revision }: Position): string {
  return `${generation}.${revision}`;
}

/** Undefined for what is no event's id: the reader then starts anew. */
export function parseEventId(text: string): Position | undefined {
  const [, generation, revision] = /^(.+)\.(\d{1,15})$/.exec(text) ?? [];
  return generation === undefined ? undefined : { generation, revision: Number(revision) };
}

function encodeEvent(after: Position, event: string, data: Snapshot | ServiceChange): FeedEvent {
  const text = `id: ${formatEventId(after)}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
  return { after, bytes: new TextEncoder().encode(text) };
}
