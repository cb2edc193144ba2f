/** An event's labels are in its line, so it can be long; past this the line is dropped and stands for "look again". */
const maxLineLength = 4 * 1024 * 1024;

/** Cuts a stream of text into lines: several may come in one chunk, and one may come in several. */
export class LineSplitter {
  #rest = "";
  #skipping = false;
  readonly #onLine: (line: string) => void;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  take(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#end(line);
    if (this.#rest.length <= maxLineLength) return;
    this.#rest = "";
    this.#skipping = true;
  }

  #end(line: string): void {
    const text = this.#skipping ? "" : line;
    if (text.trim() !== "" || this.#skipping) this.#onLine(text);
    this.#skipping = false;
  }
}

/**
 * What an event asks for:
 *
 *   look      another look, at one container when it is known; `health` is what a health event says, which some engines send at every
 *             probe
 *   probe     a command in a container has ended, which may have been the probe of its health
 *   stopping  a signal was sent to a container, or (without one) its engine was told to stop it, at this moment of the engine's clock
 *   nothing   no fact can have changed
 */
export type EngineEvent =
  | { kind: "look"; id: string | undefined; health?: string }
  | { kind: "probe"; id: string; passed: boolean }
  | { kind: "stopping"; id: string; signal: string | undefined; atMs: number }
  | { kind: "nothing" };

/**
 * Actions that change nothing an agent declares. Health probes alone send three exec events each, and would keep the loop busy for
 * ever. Any action not listed here counts, so an engine's new one is never missed.
 */
const withoutEffect =
  /^(?:exec|exec_\w+|attach|detach|top|resize|export|commit|archive-path|extract-to-dir|copy)(?::|$)/;

/** Reads one line of an engine's event stream, Docker's dialect or Podman's. A line that cannot be read is still a reason to look. */
export function eventFromLine(line: string): EngineEvent {
  const event = parseEvent(line);
  const action = textAt(event, "Action") ?? "";
  const actor = objectAt(event, "Actor");
  const id = textAt(actor, "ID");
  const attributes = objectAt(actor, "Attributes");
  const exitCode = textAt(attributes, "containerExitCode");
  // Podman 4.3's own health event says how things were before the probe; Docker's command ends as exec_die.
  if (action === "exec_died" && id !== undefined && exitCode !== undefined)
    return { kind: "probe", id, passed: exitCode === "0" };
  if (withoutEffect.test(action)) return { kind: "nothing" };
  if (textAt(event, "Type") === "network") return { kind: "look", id: containerOf(action, id, attributes) };
  if (action.startsWith("health_status")) return healthEvent(action, id, event);
  const atMs = timeOf(event);
  const signal = textAt(attributes, "signal");
  // Podman says `stop` as it begins to stop a container; Docker when it is over, after `kill`: the watch tells them apart.
  if (
    id !== undefined &&
    atMs !== undefined &&
    (action === "stop" || (action === "kill" && signal !== undefined))
  )
    return { kind: "stopping", id, signal: action === "stop" ? undefined : signal, atMs };
  return { kind: "look", id };
}

/**
 * A Docker network event's actor is the network, and the container stands among its attributes; Podman's actor is the container itself.
 * The events of a network's own life name neither.
 */
function containerOf(action: string, actor: string | undefined, attributes: unknown): string | undefined {
  return textAt(attributes, "container") ?? (/^(?:dis)?connect$/.test(action) ? actor : undefined);
}

function healthEvent(action: string, id: string | undefined, event: unknown): EngineEvent {
  const health = /^health_status: *(\w+)/.exec(action)?.[1] ?? textAt(event, "HealthStatus");
  return { kind: "look", id, ...(health === undefined ? {} : { health }) };
}

/**
 * When the event was, as engines take a moment in a question: seconds and nanoseconds since 1970, exact, where a JSON number would be rounded.
 * Undefined when the line does not say.
 */
export function timeIn(line: string): string | undefined {
  const digits = /"timeNano":(\d{10,19})\b/.exec(line)?.[1];
  return digits === undefined ? undefined : `${digits.slice(0, -9)}.${digits.slice(-9)}`;
}

/** Milliseconds since 1970; from a time in whole seconds their beginning, so that no event seems younger than it is. */
function timeOf(event: unknown): number | undefined {
  const nanoseconds = objectAt(event, "timeNano");
  if (typeof nanoseconds === "number" && isMoment(nanoseconds / 1e6)) return nanoseconds / 1e6;
  const seconds = objectAt(event, "time");
  return typeof seconds === "number" && isMoment(seconds * 1000) ? seconds * 1000 : undefined;
}

/** The last moment a date can be (ECMA-262 §21.4.1.1): no container's next run could start after a later stop. */
const lastMs = 8.64e15;

function isMoment(atMs: number): boolean {
  return atMs > 0 && atMs <= lastMs;
}

function parseEvent(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function objectAt(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function textAt(value: unknown, key: string): string | undefined {
  const found = objectAt(value, key);
  return typeof found === "string" && found !== "" ? found : undefined;
}
