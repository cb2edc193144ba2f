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

/** What an event asks for: another look, at one container when it is known; or nothing, when no fact can have changed. */
export type Hint = { kind: "look"; id: string | undefined } | { kind: "nothing" };

/**
 * Actions that change nothing an agent declares. Health probes alone send three exec events each, and would keep the loop busy for
 * ever. Any action not listed here counts, so an engine's new one is never missed.
 */
const withoutEffect =
  /^(?:exec_\w+|attach|detach|top|resize|export|commit|archive-path|extract-to-dir|copy)(?::|$)/;

/** Reads one line of the engine's event stream. A line that cannot be read is still a hint. */
export function hintFromEvent(line: string): Hint {
  const event = parseEvent(line);
  const action = textAt(event, "Action") ?? "";
  if (withoutEffect.test(action)) return { kind: "nothing" };
  const actor = objectAt(event, "Actor");
  if (textAt(event, "Type") !== "network") return { kind: "look", id: textAt(actor, "ID") };
  // A network event's actor is the network; the container stands among its attributes.
  return { kind: "look", id: textAt(objectAt(actor, "Attributes"), "container") };
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
