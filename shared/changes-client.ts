import type { z } from "zod";

import {
  changeSchema,
  changesPath,
  EventParser,
  eventStreamType,
  heartbeatSeconds,
  type ServerSentEvent,
  type ServiceChange,
  type Snapshot,
  snapshotSchema,
} from "./changes.ts";
import { BerthError } from "./errors.ts";
import { sendRequest } from "./resolver-exchange.ts";

/** A snapshot takes the place of all that came before it; a change adds to it. */
export type FeedEvent = ({ kind: "snapshot" } & Snapshot) | ({ kind: "change" } & ServiceChange);

export interface ChangesAccess {
  fetch: typeof fetch;
  /** The resolver's base URL, such as https://127.0.0.1:8053. */
  url: string;
  /** Asked for at every connection, so that a token that was replaced is found. */
  readToken: () => Promise<string>;
}

export interface FollowPorts {
  /** Runs `run` once after `ms`; the function returned calls it off. */
  after(ms: number, run: () => void): () => void;
  /** From 0 up to, not including, 1. */
  random: () => number;
  /** Told when a connection has come about: from then on every change is heard of, those since the last one first. */
  onOpen?: () => void;
  /** Told why a connection ended or did not come about; it is tried again. */
  onFault?: (fault: unknown) => void;
}

/** Without a sign of life for so long the connection is dead, whatever the system says: two heartbeats were lost. */
const silenceMs = 3 * heartbeatSeconds * 1000;
const firstWaitMs = 500;
const longestWaitMs = 30_000;
/** Characters of one event: a snapshot of a million endpoints is some 300 million. */
const longestEvent = 400_000_000;

/**
 * The change feed of a resolver, for as long as it is wanted: a snapshot first, then changes; after a broken connection it goes on where
 * it was, or with a snapshot again. Ends when `signal` aborts, and closes the connection when the caller stops reading. Never throws
 * for what a network or a resolver does.
 */
export async function* followChanges(
  access: ChangesAccess,
  ports: FollowPorts,
  signal: AbortSignal,
): AsyncGenerator<FeedEvent, void, undefined> {
  let lastId = "";
  let failures = 0;
  while (!signal.aborted) {
    try {
      for await (const event of readFeed(access, ports, lastId, signal)) {
        const known = feedEventFrom(event, access.url);
        if (known !== undefined) yield known;
        // Only now: an event nobody could read is no place to go on from.
        lastId = event.id;
        failures = 0;
      }
    } catch (fault) {
      if (signal.aborted) return;
      if (fault instanceof BerthError && fault.code === "bad-reply") lastId = "";
      ports.onFault?.(fault);
    }
    const whole = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(failures++, 30));
    // Spread, so that the readers of a resolver that restarts do not all come back at once.
    await waitFor(whole / 2 + (whole / 2) * ports.random(), ports, signal);
  }
}

/** One connection's events. Ends when the resolver ends it, throws a BerthError when something else does. */
async function* readFeed(
  access: ChangesAccess,
  ports: FollowPorts,
  lastId: string,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const silence = new AbortController();
  const ended = AbortSignal.any([signal, silence.signal]);
  const listen = (): (() => void) => ports.after(silenceMs, () => silence.abort());
  let stop = listen();
  try {
    const body = await openFeed(access, lastId, ended);
    ports.onOpen?.();
    const parser = new EventParser();
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      stop();
      yield* parser.push(decoder.decode(chunk, { stream: true }));
      if (parser.unfinished > longestEvent) throw badReply(access.url, "an event without end");
      // From here on, because the caller may have taken its time.
      stop = listen();
    }
  } catch (cause) {
    if (cause instanceof BerthError) throw cause;
    const message = `the change feed of ${access.url} broke off`;
    throw new BerthError("resolver-unreachable", message, { who: access.url, retryable: true, cause });
  } finally {
    stop();
    silence.abort();
  }
}

async function openFeed(
  { fetch, url, readToken }: ChangesAccess,
  lastId: string,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const token = await readToken();
  const headers = { accept: eventStreamType, ...(lastId === "" ? {} : { "last-event-id": lastId }) };
  const request = { method: "GET", path: changesPath, headers, signal };
  const response = await sendRequest({ fetch, url, token, timeoutMs: silenceMs }, request);
  const type = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (response.body !== null && type === eventStreamType) return response.body;
  throw badReply(url, `content-type ${type ?? "missing"}`);
}

/** Undefined for a kind of event that a later resolver may have. */
function feedEventFrom({ event, data }: ServerSentEvent, url: string): FeedEvent | undefined {
  if (event === "snapshot") return { kind: event, ...parseData(snapshotSchema, data, url) };
  if (event === "change") return { kind: event, ...parseData(changeSchema, data, url) };
  return undefined;
}

function parseData<T>(schema: z.ZodType<T>, text: string, url: string): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw badReply(url, "an event of another shape", cause);
  }
}

function badReply(url: string, what: string, cause?: unknown): BerthError {
  const message = `${url} sent ${what} where berth's change feed should be; check the URL`;
  return new BerthError("bad-reply", message, { who: url, retryable: true, cause });
}

function waitFor(ms: number, ports: FollowPorts, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = ports.after(ms, resolve);
  const end = (): void => resolve();
  signal.addEventListener("abort", end);
  if (signal.aborted) resolve();
  return promise.finally(() => {
    stop();
    signal.removeEventListener("abort", end);
  });
}
