import { readFileSync } from "node:fs";
import {
  createEtcdGateway,
  type EtcdGateway,
  type EtcdGatewayOptions,
} from "../../resolver/store/etcd/gateway.ts";
import { type KeyRange, revisionOf, type WatchEvent } from "../../resolver/store/etcd/wire.ts";
import type { EtcdCluster } from "../testbed/etcd.ts";
import { until } from "../testbed/wait.ts";

export type LoggedGateway = EtcdGateway & { warnings: string[] };

/** A gateway that asks member `first` first, then the others in their order. */
export function gatewayTo(
  cluster: EtcdCluster,
  first = 0,
  over: Partial<EtcdGatewayOptions> = {},
): LoggedGateway {
  const warnings: string[] = [];
  const quiet = () => {};
  const log = { debug: quiet, info: quiet, warn: (line: string) => warnings.push(line), error: quiet };
  const urls = [...cluster.urls.slice(first), ...cluster.urls.slice(0, first)];
  const trusted = cluster.certificates?.caFile;
  const ca = trusted === undefined ? {} : { ca: readFileSync(trusted, "utf8") };
  return Object.assign(createEtcdGateway({ urls, ...ca, timeoutMs: 2_000, log, ...over }), { warnings });
}

export type Watching = {
  /** What one call each was given. */
  calls: { revision: number; events: WatchEvent[] }[];
  /** Revisions up to which it was told that nothing happened. */
  progress: number[];
  /** Every event as one word: `key=value` or `-key`. */
  seen(): string[];
  untilSeen(word: string): Promise<void>;
  /** What the watch ended with; undefined when it ended in peace. */
  ended: Promise<unknown>;
  stop(): void;
};

/** Watches and writes down. */
export function watching(gateway: EtcdGateway, keys: KeyRange, fromRevision: number): Watching {
  const abort = new AbortController();
  const calls: Watching["calls"] = [];
  const progress: number[] = [];
  const ended = gateway
    .watch(keys, fromRevision, {
      onEvents: (revision, events) => {
        calls.push({ revision, events });
      },
      onProgress: (revision) => progress.push(revision),
      signal: abort.signal,
    })
    .then(
      () => undefined,
      (fault: unknown) => fault,
    );
  const seen = () => calls.flatMap(({ events }) => events.map(wordOf));
  return {
    calls,
    progress,
    seen,
    ended,
    stop: () => abort.abort(),
    async untilSeen(word) {
      await until(`the watch tells ${word}`, () => seen().includes(word), { timeoutMs: 30_000 });
    },
  };
}

/** Put together again, the calls must be the history: revisions rise from call to call and never fall within one. */
export function isInOrder({ calls }: Watching): boolean {
  const revisions = calls.flatMap(({ events }) => events.map(revisionOf));
  const rises = revisions.every((revision, n) => n === 0 || revision >= (revisions[n - 1] ?? 0));
  const ends = calls.map(({ revision }) => revision);
  return rises && ends.every((revision, n) => n === 0 || revision > (ends[n - 1] ?? 0));
}

function wordOf(event: WatchEvent): string {
  return event.kind === "put" ? `${event.item.key}=${event.item.value}` : `-${event.key}`;
}
