import { join } from "node:path";

import type { Address } from "../shared/address.ts";
import { askInTurn } from "../shared/ask-in-turn.ts";
import { dohPath } from "../shared/dns/doh.ts";
import { describeFault } from "../shared/errors.ts";
import type { Log } from "../shared/log.ts";
import type { Name } from "../shared/name.ts";
import { ResolverChoice } from "../shared/resolver-choice.ts";
import { listZones } from "../shared/resolver-client.ts";
import { CachingStub } from "./caching-stub.ts";
import { ChangeFeed } from "./change-feed.ts";
import { type Learnt, learntFrom, textOfLearnt } from "./learnt.ts";
import { askPorts } from "./port-list.ts";
import { Remembered } from "./remembered.ts";
import { ResolverAddresses } from "./resolver-addresses.ts";
import { lookupAt } from "./resolver-lookup.ts";
import { readStateFile, writeStateFile } from "./state-file.ts";
import { type Answer, askDns, type Failure } from "./stub.ts";
import type { NamePorts, StubResolver } from "./stub-resolver.ts";
import { systemLookup } from "./system-lookup.ts";
import { createTokenFile } from "./token-file.ts";
import { createTransport, type Transport } from "./transport.ts";
import { LearntZones } from "./zones.ts";

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

const answerLimits = { answers: 10_000, weight: 200_000 };
/** How long one question for the zones may take. */
const zonesTimeoutMs = 2_000;

/**
 * Starts to learn at once, and ends with `close`; nothing it does in the background keeps the process alive. Throws a BerthError
 * `bad-config` when a required certificate authority is missing.
 */
export function createStubResolver(settings: StubSettings, given: StubPorts): StubResolver {
  const ports = { now: () => performance.now(), random: Math.random, after: afterUnref, ...given };
  const { log, now, after } = ports;
  const closing = new AbortController();
  const learnt = createMemory(settings, log);
  const transport = transportFrom(settings, ports, learnt);
  const choice = new ResolverChoice(settings.resolver);
  const readToken = settings.tokenFile === undefined ? undefined : createTokenFile(settings.tokenFile);
  const token = readToken === undefined ? {} : { token: readToken };
  const servers = { choice, now, timeoutMs: settings.resolveTimeoutMs, ...token };

  const doh = { ...servers, fetch: transport.fetch, uriOf: dohUriOf };
  const shared = { now, after, isFailing: () => choice.isFailing(), limits: answerLimits };
  const answers = new Remembered<Answer>({
    ...shared,
    ask: (name, type, fresh) => askDns(doh, { name, type }, { fresh, signal: closing.signal }),
    asStale: (answer) => (answer.kind === "exists" ? { ...answer, stale: true } : answer),
    calledOff: { kind: "failed", failure: calledOff },
  });
  const portLists = new Remembered<NamePorts>({
    ...shared,
    ask: (name, _, fresh) => {
      const ask = (owner: Name, type: number) => answers.get(owner, type, fresh, closing.signal);
      const asked = { servers: { ...servers, fetch: transport.fetch }, ask };
      return askPorts(name, asked, { fresh, signal: closing.signal });
    },
    asStale: (list) => list,
    calledOff: { kind: "failed", failure: calledOff },
  });

  const list = async () => {
    const ask = (url: string, presented: string | undefined, timeoutMs: number) => {
      const access = { fetch: transport.background, url, timeoutMs };
      return listZones(presented === undefined ? access : { ...access, token: presented });
    };
    const limited = { ...servers, timeoutMs: zonesTimeoutMs };
    return (await askInTurn(limited, ask, { signal: closing.signal })).reply;
  };
  const onZones = (zones: readonly Name[]): void => {
    learnt.keep({ zones: [...zones] });
    stub.changed("all");
  };
  const zones = new LearntZones(learnt.known().zones, { log, list, after, onChange: onZones });
  const fixed = settings.zone;
  const feed =
    readToken &&
    new ChangeFeed({
      ...ports,
      fetch: transport.background,
      choice,
      readToken: () => readToken(false),
      onChange: (services) => stub.changed(services),
    });

  const stub = new CachingStub({
    zones: fixed === undefined ? zones : { current: () => fixed, firstAsked: () => undefined },
    answers,
    ports: portLists,
    choice,
    feed: () => feed?.state() ?? "off",
    lookup: ports.lookup ?? systemLookup,
    now,
    resolveTimeoutMs: settings.resolveTimeoutMs,
    close: async () => {
      zones.stop();
      closing.abort();
      await transport.close();
    },
  });
  if (fixed === undefined) void zones.start();
  void feed?.follow(closing.signal);
  return stub;
}

const calledOff: Failure = { kind: "no-answer", reason: "the question was called off" };

function transportFrom(
  settings: StubSettings,
  ports: StubPorts & { after: NonNullable<StubPorts["after"]> },
  learnt: Memory,
): Transport {
  const { fetch, upstreams, after } = ports;
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

interface Memory {
  known(): Learnt;
  keep(news: Partial<Learnt>): void;
}

/** In the state directory where there is one, else for the life of the process. */
function createMemory({ stateDir, resolver }: StubSettings, log: Log): Memory {
  const file = stateDir === undefined ? undefined : join(stateDir, "resolvers.json");
  let learnt = learntFrom(file === undefined ? undefined : readStateFile(file), resolver);
  return {
    known: () => learnt,
    keep(news) {
      learnt = { ...learnt, ...news };
      if (file === undefined) return;
      try {
        writeStateFile(file, textOfLearnt(learnt));
      } catch (fault) {
        log.warn(
          `${file} cannot be written, so what it would hold is learnt anew at each start: ${describeFault(fault)}`,
        );
      }
    },
  };
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
