import { setTimeout as pause } from "node:timers/promises";
import { BerthError } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import {
  authFault,
  faultFromRefusal,
  historyFault,
  MemberFault,
  type Refusal,
  StaleTokenFault,
} from "./faults.ts";
import type { Members } from "./members.ts";
import { parseReply, refusalFrom } from "./replies.ts";
import type { Stream } from "./transport.ts";
import {
  encodeRange,
  eventsFromWatch,
  integer,
  type KeyRange,
  revisionOf,
  type WatchEvent,
  type WireWatch,
} from "./wire.ts";

export interface WatchListener {
  /** All that happened since the last call, up to and with `revision`: whole revisions only. The next call waits for this one's promise. */
  onEvents(revision: number, events: WatchEvent[]): void | Promise<void>;
  /** Nothing happened up to and with `revision`: etcd says so now and then on a quiet watch, so that resuming needs no old history. */
  onProgress?(revision: number): void;
  /** Ends the watch in peace. */
  signal: AbortSignal;
}

export interface WatchOptions {
  /** How often the watched member is asked whether it is still one of a cluster with a leader. */
  probeEveryMs: number;
  log: Log;
}

const longestPauseMs = 2_000;

/**
 * Tells every event from `fromRevision` on once, in order, whatever breaks: it goes on after the last revision told, at the next member. Resolves
 * when the signal aborts. Rejects with `etcd-compacted` when that is not possible (the history was compacted, or etcd was restored from an older
 * backup): the caller reads everything and watches anew. Rejects too with `etcd-auth` and with what the listener throws.
 *
 * A member cut off from the others keeps its watches and stays silent. Two things notice: etcd itself ends a stream that asked for a leader, some
 * elections' time after it lost it; and a read that needs the leader is made at the member every `probeEveryMs`, which also notices a member that
 * hangs. Progress notices would not do: etcd sends them every 10 minutes.
 */
export async function watchMembers(
  members: Members,
  keys: KeyRange,
  fromRevision: number,
  listener: WatchListener,
  options: WatchOptions,
): Promise<void> {
  const { signal } = listener;
  const watch: Watch = {
    members,
    keys,
    listener,
    ...options,
    told: fromRevision - 1,
    breaks: 0,
    isRenewed: false,
  };
  let url = members.preferred();
  while (!signal.aborted) {
    try {
      await follow(watch, url);
    } catch (fault) {
      if (fault instanceof ListenerFault) throw fault.cause;
      if (signal.aborted) return;
      if (!(fault instanceof MemberFault)) throw fault;
      url = members.after(url);
      tellBreak(watch, fault, url);
    }
    await pauseBetween(watch);
  }
}

interface Watch extends WatchOptions {
  members: Members;
  keys: KeyRange;
  listener: WatchListener;
  /** The last revision the listener heard of. */
  told: number;
  /** How often in a row it broke without anything heard. */
  breaks: number;
  /** A refusal has led to a new token already. */
  isRenewed: boolean;
}

/** Keeps what the listener throws apart from what a member does. */
class ListenerFault extends Error {}

/** One stream at one member, until it breaks: always rejects. */
async function follow(watch: Watch, url: string): Promise<void> {
  const { members, keys, listener, told } = watch;
  const create_request = {
    ...encodeRange(keys),
    start_revision: `${told + 1}`,
    progress_notify: true,
    // A restart after a long break can bring more than a gRPC message may hold: etcd then sends it in parts.
    fragment: true,
  };
  const { stream, token } = await members.open(url, "/v3/watch", { create_request });
  const over = new AbortController();
  const stop = () => stream.stop(new MemberFault(url, "the watch is over", { unapplied: true }));
  listener.signal.addEventListener("abort", stop, { once: true });
  if (listener.signal.aborted) stop();
  try {
    await readStream(watch, { url, stream, token, over: over.signal });
  } finally {
    listener.signal.removeEventListener("abort", stop);
    over.abort();
    stop();
  }
}

interface Following {
  url: string;
  stream: Stream;
  /** What the stream was opened with. */
  token: string;
  /** Aborts when the stream is left. */
  over: AbortSignal;
}

async function readStream(watch: Watch, following: Following): Promise<never> {
  const { url, stream } = following;
  let events: WatchEvent[] = [];
  for await (const line of stream.lines) {
    const result = resultOf(parseReply(url, line));
    if (result === undefined) throw await afterRefusal(watch, following, refusalFrom(stream.status, line));
    if (result.canceled === true) throw await afterCancel(watch, following, result);
    if (result.created === true) {
      await checkHistory(watch, url);
      watch.isRenewed = false;
      // It stops the stream when it fails, and never rejects.
      void probe(watch, following);
      continue;
    }
    events.push(...eventsFromWatch(result));
    if (result.fragment === true) continue;
    await tell(watch, events, integer(result.header?.revision));
    events = [];
  }
  throw new MemberFault(url, "the member ended the watch", { unapplied: true });
}

function resultOf(reply: unknown): WireWatch | undefined {
  return (reply as { result?: WireWatch } | null)?.result;
}

async function tell(watch: Watch, events: WatchEvent[], headerRevision: number): Promise<void> {
  watch.breaks = 0;
  const isProgress = events.length === 0;
  // A member that lags behind may say again what another has said, and notify of a progress that is behind ours [etcd-io/etcd#20221].
  const fresh = events.filter((event) => revisionOf(event) > watch.told);
  // The header's revision is the member's own present one: more events up to there may be still to come.
  const revision = Math.max(watch.told, isProgress ? headerRevision : 0, ...fresh.map(revisionOf));
  if (revision === watch.told) return;
  try {
    if (isProgress) watch.listener.onProgress?.(revision);
    else await watch.listener.onEvents(revision, fresh);
  } catch (cause) {
    throw new ListenerFault("the listener threw", { cause });
  }
  watch.told = revision;
}

/**
 * Reads, with the leader's word, at the last revision told. It fails for want of that revision when etcd was restored from an older backup, and
 * when the next one was compacted, which the watch itself does not always say: one that begins right at the compacted revision can miss a
 * deletion made there [etcd-io/etcd#18089].
 */
async function checkHistory(watch: Watch, url: string): Promise<void> {
  try {
    await readAt(watch, url, watch.told);
  } catch (fault) {
    const isCompacted = fault instanceof BerthError && /has been compacted/.test(fault.message);
    throw isCompacted ? historyFault(`compacted after revision ${watch.told}`, watch.told + 1) : fault;
  }
}

async function probe(watch: Watch, { url, stream, over }: Following): Promise<void> {
  try {
    for (;;) {
      await pause(watch.probeEveryMs, undefined, { signal: over });
      await readAt(watch, url, 0);
      watch.breaks = 0;
    }
  } catch (fault) {
    stream.stop(fault instanceof Error ? fault : new Error(String(fault)));
  }
}

/** Revision 0 is the present one. */
async function readAt({ members, keys }: Watch, url: string, revision: number): Promise<void> {
  const body = { key: encodeRange(keys).key, limit: "1", keys_only: true, revision: `${revision}` };
  await members.ask(url, { path: "/v3/kv/range", body, isRepeatable: true });
}

async function afterCancel(watch: Watch, following: Following, result: WireWatch): Promise<Error> {
  const compactRevision = integer(result.compact_revision);
  const message = result.cancel_reason ?? "the member cancelled the watch";
  if (compactRevision > 0) return historyFault(`compacted up to ${compactRevision}`, compactRevision);
  return afterRefusal(watch, following, { status: 503, message });
}

/** A watch with a token that is none is refused as one of a user without rights: a new token, once, tells the two apart. */
async function afterRefusal(watch: Watch, { url, token }: Following, refusal: Refusal): Promise<Error> {
  const { members } = watch;
  const fault = faultFromRefusal(url, refusal, members.user);
  const isStale = fault instanceof StaleTokenFault;
  if (!isStale && !(fault instanceof BerthError && fault.code === "etcd-auth")) return fault;
  if (members.user === undefined || watch.isRenewed) {
    return isStale ? authFault(url, fault.message, members.user) : fault;
  }
  watch.isRenewed = true;
  await members.renewToken(url, token);
  return new MemberFault(url, fault.message, { unapplied: true });
}

function tellBreak(watch: Watch, fault: MemberFault, next: string): void {
  const message = `the watch at ${fault.url} broke after revision ${watch.told} (${fault.message}): going on at ${next}`;
  // Once for an outage, however long it takes.
  if (watch.breaks === 0) watch.log.warn(message);
  else watch.log.debug(message);
}

/** The first break sends us on at once. */
async function pauseBetween(watch: Watch): Promise<void> {
  watch.breaks++;
  if (watch.breaks === 1) return;
  const longest = Math.min(longestPauseMs, 25 * 2 ** watch.breaks);
  // Resolvers that lost the same member come back one by one.
  const waited = pause(longest * (0.5 + Math.random() / 2), undefined, { signal: watch.listener.signal });
  await waited.catch(() => {});
}
