import type { StubStatus } from "../../client/stub-resolver.ts";
import { formatEndpoint } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { displayName } from "../../shared/name.ts";
import type { ProxyCounts } from "../counts.ts";
import type { TransparentStatus } from "../transparent/transparent.ts";

/** How the proxy is: what /status answers, as JSON. Fields may be added. */
export interface ProxyStatus {
  /** Where SOCKS and HTTP clients are taken, as address:port. */
  listen: string;
  /** Whether clients have to prove who they are. */
  asksForUsers: boolean;
  /** Seconds since the start. */
  uptime: number;
  zones: string[];
  resolvers: StubStatus["resolvers"];
  feed: StubStatus["feed"];
  answers: Pick<StubStatus, "cached" | "hits" | "misses" | "stale">;
  connections: number;
  accepted: number;
  granted: number;
  /** By the kind of reason. */
  refused: Record<string, number>;
  bytesUp: number;
  bytesDown: number;
  /** Only with --transparent. */
  transparent?: TransparentStatus;
}

/** Where the proxy's parts tell how they are. */
export interface StatusParts {
  listen: ListenAddress;
  asksForUsers: boolean;
  startedAt: number;
  stub: StubStatus;
  counts: ProxyCounts;
  transparent: TransparentStatus | undefined;
}

/** `now` and `startedAt` in milliseconds. */
export function proxyStatus(parts: StatusParts, now: number): ProxyStatus {
  const { listen, asksForUsers, startedAt, stub, counts, transparent } = parts;
  const { connections, accepted, granted, refused, bytesUp, bytesDown } = counts;
  const { zones, resolvers, feed, cached, hits, misses, stale } = stub;
  return {
    listen: formatEndpoint({ address: listen.host, port: listen.port }),
    asksForUsers,
    uptime: Math.floor((now - startedAt) / 1000),
    zones: zones.map(displayName),
    resolvers,
    feed,
    answers: { cached, hits, misses, stale },
    ...{ connections, accepted, granted, bytesUp, bytesDown },
    refused: Object.fromEntries([...refused].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    ...(transparent === undefined ? {} : { transparent }),
  };
}
