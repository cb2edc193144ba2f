import type { Address } from "../shared/address.ts";
import { askInTurn, isOutOfReach } from "../shared/ask-in-turn.ts";
import { dohPath } from "../shared/dns/doh.ts";
import type { Log } from "../shared/log.ts";
import type { Name } from "../shared/name.ts";
import { ResolverChoice } from "../shared/resolver-choice.ts";
import { listZones } from "../shared/resolver-client.ts";
import { CachingStub } from "./answers/caching-stub.ts";
import { OutsideNames } from "./answers/outside-names.ts";
import { askPorts } from "./answers/port-list.ts";
import { Remembered } from "./answers/remembered.ts";
import { type Answer, askDns, type Failure } from "./answers/stub.ts";
import { systemLookup, systemLookupsAtOnce } from "./answers/system-lookup.ts";
import { ChangeFeed } from "./resolvers/change-feed.ts";
import { createLearntMemory, type LearntMemory } from "./resolvers/learnt-memory.ts";
import { ResolverAddresses } from "./resolvers/resolver-addresses.ts";
import { lookupAt } from "./resolvers/resolver-lookup.ts";
import { createTokenFile } from "./resolvers/token-file.ts";
import { createTransport, type Transport } from "./resolvers/transport.ts";
import { LearntZones } from "./resolvers/zones.ts";
import type { NamePorts, StubResolver } from "./stub-resolver.ts";

export interface StubSettings {
  /** Base URLs of the resolvers of one registry, as the user ordered them. */
  resolver: readonly string[];
  /** Where a resolver named by a hostname is, in the place of what the system says. */
  resolverAddress?: readonly Address[];
  tokenFile?: string;
  ca?: { file: string; required: boolean };
  /** Given, no zone is learnt. */
  zone?: readonly Name[];
  /** What it learns is kept there. */
  stateDir?: string;
  /** Milliseconds for one question, all resolvers together. */
  resolveTimeoutMs: number;
}

/** What is left out is the process's own. */
export interface StubPorts {
  log: Log;
  /** Milliseconds that only ever go up. */
  now?: () => number;
  /** From 0 up to, not including, 1. */
  random?: () => number;
  /** Runs `run` once after `ms`, without keeping the process alive; the function returned calls it off. */
  after?: (ms: number, run: () => void) => () => void;
  /** In the place of its own transport, whose settings then mean nothing. */
  fetch?: typeof fetch;
  /** The system's addresses of a name, best first. */
  lookup?: (name: string) => Promise<Address[]>;
  /** DNS servers (IP, or IP:port) to ask for a resolver's hostname, where the system's own resolution may lead back here. */
  upstreams?: () => Promise<readonly string[]>;
}

/** Of look-ups of the system's that have not begun: a crawler's burst, and not what gathers while name servers are silent. */
const mostWaiting = 1_000;
const answerLimits = { answers: 10_000, weight: 200_000 };
/** For one question for the zones; the first names wait for the first one. */
const zonesTimeoutMs = 2_000;
const calledOff: Failure = { kind: "no-answer", reason: "the question was called off" };

/** What the parts of one stub resolver have in common. */
interface Context {
  settings: StubSettings;
  ports: StubPorts & Required<Pick<StubPorts, "now" | "random" | "after">>;
  transport: Transport;
  choice: ResolverChoice;
  /** The token file's, where there is one. */
  token: { token?: (again: boolean) => Promise<string> };
  /** Aborted at the end. */
  closing: AbortSignal;
}

/**
 * Starts to learn at once, and ends with `close`; nothing it does in the background keeps the process alive. Throws a BerthError
 * `bad-config` when a required certificate authority is missing.
 */
export function createStubResolver(settings: StubSettings, given: StubPorts): StubResolver {
  const ports = { now: () => performance.now(), random: Math.random, after: afterUnref, ...given };
  const closing = new AbortController();
  const learnt = createLearntMemory(settings, ports.log);
  const context: Context = {
    settings,
    ports,
    transport: transportFrom(settings, ports, learnt),
    choice: new ResolverChoice(settings.resolver),
    token: settings.tokenFile === undefined ? {} : { token: createTokenFile(settings.tokenFile) },
    closing: closing.signal,
  };
  const changed = (services: ReadonlySet<Name> | "all"): void => stub.changed(services);
  const answers = rememberedAnswers(context);
  const zones = zonesOf(context, learnt, changed);
  const feed = feedOf(context, changed);
  const stub = new CachingStub({
    zones,
    answers,
    ports: rememberedPorts(context, answers),
    choice: context.choice,
    feed: () => feed?.state() ?? "off",
    outside: outsideNamesOf(context),
    now: ports.now,
    resolveTimeoutMs: settings.resolveTimeoutMs,
    async close() {
      zones.stop();
      closing.abort();
      await context.transport.close();
    },
  });
  void zones.start();
  void feed?.follow(closing.signal);
  return stub;
}

function outsideNamesOf({ ports: { lookup = systemLookup, now }, settings }: Context): OutsideNames {
  const limits = { atOnce: systemLookupsAtOnce(), waiting: mostWaiting, waitMs: settings.resolveTimeoutMs };
  return new OutsideNames({ lookup, now, limits });
}

function rememberedAnswers(context: Context): Remembered<Answer> {
  const { transport, closing } = context;
  const doh = { ...serversOf(context), fetch: transport.fetch, uriOf: dohUriOf };
  return new Remembered<Answer>({
    ...rememberingOf(context),
    ask: (name, type, fresh) => askDns(doh, { name, type }, { fresh, signal: closing }),
    asStale: (answer, staleUntil) => (answer.kind === "exists" ? { ...answer, staleUntil } : answer),
    calledOff: { kind: "failed", failure: calledOff },
  });
}

function rememberedPorts(context: Context, answers: Remembered<Answer>): Remembered<NamePorts> {
  const { transport, closing } = context;
  const servers = { ...serversOf(context), fetch: transport.fetch };
  return new Remembered<NamePorts>({
    ...rememberingOf(context),
    ask(name, _, fresh) {
      const ask = (owner: Name, type: number) => answers.get(owner, type, fresh, closing);
      return askPorts(name, { servers, ask }, { fresh, signal: closing });
    },
    asStale: (list) => list,
    calledOff: { kind: "failed", failure: calledOff },
  });
}

interface Zones {
  current(): readonly Name[];
  firstAsked(): Promise<void> | undefined;
  start(): Promise<void>;
  stop(): void;
}

function zonesOf(context: Context, learnt: LearntMemory, changed: (services: "all") => void): Zones {
  const { settings, ports, transport, closing } = context;
  const { zone } = settings;
  if (zone !== undefined) {
    return { current: () => zone, firstAsked: () => undefined, start: async () => {}, stop: () => {} };
  }
  const ask = (url: string, token: string | undefined, timeoutMs: number) =>
    listZones({ fetch: transport.background, url, timeoutMs, ...(token === undefined ? {} : { token }) });
  const list = async () => {
    const servers = { ...serversOf(context), timeoutMs: zonesTimeoutMs };
    return (await askInTurn(servers, ask, { signal: closing, blames: isOutOfReach })).reply;
  };
  const onChange = (zones: readonly Name[]): void => {
    learnt.keep({ zones: [...zones] });
    changed("all");
  };
  return new LearntZones(learnt.known().zones, { log: ports.log, list, after: ports.after, onChange });
}

function feedOf(
  { ports, transport, choice, token: { token } }: Context,
  onChange: (services: ReadonlySet<Name> | "all") => void,
): ChangeFeed | undefined {
  if (token === undefined) return undefined;
  const readToken = () => token(false);
  return new ChangeFeed({ ...ports, fetch: transport.background, choice, readToken, onChange });
}

function transportFrom(
  settings: StubSettings,
  { fetch, upstreams, after }: Context["ports"],
  learnt: LearntMemory,
): Transport {
  if (fetch !== undefined) return { fetch, background: fetch, close: async () => {} };
  const addresses = new ResolverAddresses({
    fixed: settings.resolverAddress,
    find: async (hostname) =>
      upstreams === undefined ? systemLookup(hostname) : lookupAt(await upstreams(), hostname),
    recall: (hostname) => learnt.known().addresses[hostname] ?? [],
    keep: (hostname, found) =>
      learnt.keep({ addresses: { ...learnt.known().addresses, [hostname]: [...found] } }),
    after,
  });
  return createTransport({
    ...(settings.ca === undefined ? {} : { ca: settings.ca }),
    addressesOf: (hostname) => addresses.of(hostname),
    onReached: (hostname) => addresses.reached(hostname),
  });
}

function serversOf({ choice, ports, settings, token }: Context) {
  return { choice, now: ports.now, timeoutMs: settings.resolveTimeoutMs, ...token };
}

function rememberingOf({ choice, ports }: Context) {
  return { now: ports.now, after: ports.after, isFailing: () => choice.isFailing(), limits: answerLimits };
}

/** A resolver behind a reverse proxy may have a path of its own. */
function dohUriOf(resolver: string): string {
  return `${resolver.replace(/\/+$/, "")}${dohPath}`;
}

function afterUnref(ms: number, run: () => void): () => void {
  const timer = setTimeout(run, ms);
  timer.unref();
  return () => clearTimeout(timer);
}
