import type { Protocol } from "../shared/dns/endpoints.ts";
import type { Name } from "../shared/name.ts";
import type { Destination } from "./answers/destination.ts";
import type { Resolution } from "./answers/resolution.ts";
import type { Answer } from "./answers/stub.ts";

/**
 * What a program asks of berth: where a destination leads now. One for a process, for any number of callers at once; it remembers answers
 * for their TTL, asks one question once however many wait for it, and hears of changes where it may.
 */
export interface StubResolver {
  /** The zones it asks the resolver about, as the resolver or the settings say. */
  zones(): readonly Name[];
  /** The zone `text`, a name as a program wrote it, lies in; undefined for a name that is the system's. */
  zoneOf(text: string): Name | undefined;
  /** The same, once the resolver was asked for its zones. */
  zoneOnceKnown(text: string): Promise<Name | undefined>;
  /** Where to connect for `destination`. Every outcome is a value. */
  resolve(destination: Destination, question: StubQuestion): Promise<Resolution>;
  /** The same when it takes no waiting: from answers that are remembered and still good, or an address itself. Else undefined. */
  resolveCached(destination: Destination, protocol?: Protocol): Resolution | undefined;
  /** The service ports of a name of a zone. */
  portsOf(name: Name, question: Pick<StubQuestion, "fresh" | "signal">): Promise<NamePorts>;
  /** RRs at a name of a zone, as the resolver has them. */
  ask(name: Name, type: number, question: Pick<StubQuestion, "fresh" | "signal">): Promise<Answer>;
  /** Whether `name`, or where it is given that very port of it, was last answered with endpoints no longer than `ms` milliseconds ago. */
  hasAnsweredWithin(name: Name, ms: number, port?: ServicePort): boolean;
  /** Calls `listener` whenever something of these names may have changed; "all" after a gap in what was heard. Returns its end. */
  onChange(listener: (names: ReadonlySet<Name> | "all") => void): () => void;
  /** How it is, for people and metrics. */
  status(): StubStatus;
  /** Ends what it has under way. */
  close(): Promise<void>;
}

export interface StubQuestion {
  /** Which service port of that number is meant; TCP unless said otherwise. */
  protocol?: Protocol;
  /** Past every cache, our own and the resolver's; joined only with a question that is not older than this one. */
  fresh?: boolean;
  /** Ends the waiting, which then reads as no answer. */
  signal?: AbortSignal;
}

export type NamePorts =
  | { kind: "ports"; ports: readonly ServicePort[] }
  /** Nothing is published under this name: NXDOMAIN, or a name without ports (NODATA). */
  | { kind: "none"; answer: Extract<Answer, { kind: "exists" | "nxdomain" }> | undefined }
  | Extract<Answer, { kind: "failed" }>;

export interface ServicePort {
  protocol: Protocol;
  port: number;
}

export interface StubStatus {
  zones: readonly Name[];
  /** Each resolver by its URL: whether it answered last, and why not. */
  resolvers: { url: string; state: "current" | "standby" | "failing"; fault?: string }[];
  /** Whether changes are heard of: the feed's state. */
  feed: "following" | "broken" | "off";
  cached: number;
  hits: number;
  misses: number;
  stale: number;
}
