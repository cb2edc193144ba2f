import { z } from "zod";

import { nameSchema } from "./name.ts";
import { serviceListSchema } from "./registry-views.ts";

/** Where the change feed is, and what it is called (WHATWG HTML, server-sent events). */
export const changesPath = "/v1/changes";
export const eventStreamType = "text/event-stream";
/** Seconds between two signs of life while nothing changes. */
export const heartbeatSeconds = 15;

/** Everything there is: it takes the place of whatever the reader knew. */
export const snapshotSchema = z.object({
  revision: z.number(),
  services: serviceListSchema.shape.services,
});
export type Snapshot = z.infer<typeof snapshotSchema>;

/** The present state of the names that changed: those that are there, and those that are not any more. */
export const changeSchema = z.object({
  revision: z.number(),
  services: serviceListSchema.shape.services,
  gone: z.array(nameSchema),
});
export type ServiceChange = z.infer<typeof changeSchema>;

/** One event of the feed as it came: `id` is what a reader that comes back names as the last it saw. */
export interface ServerSentEvent {
  id: string;
  event: string;
  data: string;
}

/**
 * Reads server-sent events from text that comes in pieces of any size (WHATWG HTML §9.2.6). Comments and fields it does not know are
 * passed over; an event without data is none. What has come of an unfinished event is kept, so its length is the caller's to bound.
 */
export class EventParser {
  /** Of the line that is not finished; joined only then, because an event can come in hundreds of pieces. */
  #line: string[] = [];
  #data: string[] = [];
  #event = "";
  #id = "";
  #afterCarriageReturn = false;
  #isFirst = true;

  /** Characters held of what is not finished yet, and one for each piece. */
  get unfinished(): number {
    return [...this.#line, ...this.#data].reduce((sum, part) => sum + part.length + 1, 0);
  }

  /** The events that `text` finishes. */
  push(text: string): ServerSentEvent[] {
    const events: ServerSentEvent[] = [];
    for (const part of this.#linesEndedBy(text)) {
      const event = this.#endLine(part);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  /** The ends of lines that `text` brings. A line ends with CR, LF or both, and these two may come apart. */
  #linesEndedBy(text: string): string[] {
    let rest = this.#afterCarriageReturn && text.startsWith("\n") ? text.slice(1) : text;
    if (text !== "") this.#afterCarriageReturn = text.endsWith("\r");
    // U+FEFF may stand at the very start.
    if (this.#isFirst && rest !== "") {
      this.#isFirst = false;
      rest = rest.replace(/^\u{feff}/u, "");
    }
    const parts = rest.split(/\r\n|\r|\n/);
    const unfinished = parts.pop() ?? "";
    // What is unfinished now begins a line of its own, unless no line was ended.
    const ended = parts.map((part, index) => (index === 0 ? this.#takeLine(part) : part));
    if (unfinished !== "") this.#line.push(unfinished);
    return ended;
  }

  #takeLine(end: string): string {
    const line = [...this.#line, end].join("");
    this.#line = [];
    return line;
  }

  #endLine(line: string): ServerSentEvent | undefined {
    if (line === "") return this.#endEvent();
    const [, field = "", value = ""] = /^([^:]*)(?:: ?([\s\S]*))?$/.exec(line) ?? [];
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }

  #endEvent(): ServerSentEvent | undefined {
    const data = this.#data;
    const event = this.#event === "" ? "message" : this.#event;
    this.#data = [];
    this.#event = "";
    return data.length === 0 ? undefined : { id: this.#id, event, data: data.join("\n") };
  }
}
