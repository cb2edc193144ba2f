import { isInZone, type Name, parseName } from "../../shared/name.ts";
import type { Destination } from "../answers/destination.ts";
import { plainEndpoint, type Resolution } from "../answers/resolution.ts";
import type { StubQuestion, StubResolver } from "../stub-resolver.ts";

/** A stub resolver that says what a test wants it to: `now` to fresh questions, `cached` to others where it is set. */
export interface ScriptedStub extends StubResolver {
  now: Resolution | "silence";
  cached: Resolution | undefined;
  recent: boolean;
  /** The same of the very port. */
  recentPort: boolean;
  /** How many questions came, by kind. */
  asked: { fresh: number; other: number };
  /** Those that have neither been answered nor been called off. */
  waiting: number;
  /** Tells of a change. */
  change(names: ReadonlySet<Name> | "all"): void;
}

const zone = parseName("berth.internal");

export function scriptedStub(first: Resolution): ScriptedStub {
  const listeners = new Set<(names: ReadonlySet<Name> | "all") => void>();
  const stub: ScriptedStub = {
    now: first,
    cached: undefined,
    recent: true,
    recentPort: false,
    asked: { fresh: 0, other: 0 },
    waiting: 0,
    change: (names) => {
      for (const listener of listeners) listener(names);
    },
    zones: () => [zone],
    zoneOf: (text) => (isInZone(`${text.toLowerCase()}.` as Name, zone) ? zone : undefined),
    zoneOnceKnown: async (text) => stub.zoneOf(text),
    resolve: (destination, question) => answer(stub, destination, question),
    resolveCached: () => undefined,
    portsOf: () => Promise.reject(new Error("not scripted")),
    ask: () => Promise.reject(new Error("not scripted")),
    hasAnsweredWithin: (_name, _ms, port) => (port === undefined ? stub.recent : stub.recentPort),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    status: () => ({ zones: [zone], resolvers: [], feed: "off", cached: 0, hits: 0, misses: 0, stale: 0 }),
    close: async () => {},
  };
  return stub;
}

async function answer(
  stub: ScriptedStub,
  destination: Destination,
  { fresh = false, signal }: StubQuestion,
): Promise<Resolution> {
  if (destination.kind === "address") return plainEndpoint([destination.address], destination.port, false);
  stub.asked[fresh ? "fresh" : "other"]++;
  const says = fresh ? stub.now : (stub.cached ?? stub.now);
  if (says !== "silence") return says;
  stub.waiting++;
  const { promise, resolve } = Promise.withResolvers<void>();
  signal?.addEventListener("abort", () => resolve());
  await promise;
  stub.waiting--;
  return { kind: "no-answer", reason: "it was called off" };
}
