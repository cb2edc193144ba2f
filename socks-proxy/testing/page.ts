import { parseName } from "../../shared/name.ts";
import { type ProxyStatus, proxyStatus, type StatusParts } from "../page/page-status.ts";

/** The status of a proxy that has been up for 100 s, with `changes`. */
export function statusWith(changes: Partial<StatusParts> = {}): ProxyStatus {
  const parts: StatusParts = {
    listen: { host: "127.0.0.1", port: 1080 },
    asksForUsers: false,
    startedAt: 5_000,
    stub: {
      zones: [parseName("berth.internal")],
      resolvers: [
        { url: "https://one.example/", state: "current" },
        { url: "https://two.example/", state: "failing", fault: "connect ECONNREFUSED" },
      ],
      feed: "following",
      ...{ cached: 3, hits: 20, misses: 4, stale: 1 },
    },
    counts: {
      ...{ connections: 2, accepted: 9, granted: 5, bytesUp: 100, bytesDown: 2_000 },
      refused: new Map([
        ["not-found", 2],
        ["not-allowed", 1],
      ]),
    },
    transparent: undefined,
    ...changes,
  };
  return proxyStatus(parts, 105_000);
}

/** A transparent mode with one port that could not be had. */
export const transparentStatus: NonNullable<StatusParts["transparent"]> = {
  dns: "127.64.0.1:53",
  upstreams: ["192.0.2.53:53"],
  ...{ names: 2, listeners: 3, connections: 1, sessions: 4, ipv6: true, queries: 50, dropped: 6 },
  problems: [
    { what: "db.berth.internal:80", fault: "tcp 127.64.0.5:80 <in use>", mend: "end the other program" },
  ],
  moreProblems: 41,
};
