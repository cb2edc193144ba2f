import { counter, exposition, type Family, gauge, samplesBy } from "../../shared/prometheus.ts";
import type { ProxyStatus } from "./page-status.ts";

/** The status as Prometheus reads it. */
export function metricsText(status: ProxyStatus): string {
  return exposition("berth_proxy", [
    ...connectionFamilies(status),
    ...resolverFamilies(status),
    ...transparentFamilies(status),
  ]);
}

function connectionFamilies(status: ProxyStatus): Family[] {
  const { uptime, connections, accepted, granted, refused, bytesUp, bytesDown } = status;
  const bytes = [
    { value: bytesUp, labels: { direction: "up" } },
    { value: bytesDown, labels: { direction: "down" } },
  ];
  return [
    gauge("uptime_seconds", "Seconds since the proxy's start.", [{ value: uptime }]),
    gauge("connections", "Connections of clients that are open.", [{ value: connections }]),
    counter("accepted_total", "Connections of clients, those turned away included.", [{ value: accepted }]),
    counter("granted_total", "Requests that led to an endpoint.", [{ value: granted }]),
    counter(
      "refused_total",
      "Requests and hand-shakes that were refused, by the kind of reason.",
      samplesBy("reason", new Map(Object.entries(refused))),
    ),
    counter(
      "bytes_total",
      "Bytes from clients (up) and to them (down), of what has ended, and of datagrams as they go.",
      bytes,
    ),
  ];
}

function resolverFamilies({ resolvers, feed, answers }: ProxyStatus): Family[] {
  const up = resolvers.map(({ url, state }) => ({ value: state !== "failing", labels: { url } }));
  const current = resolvers.map(({ url, state }) => ({ value: state === "current", labels: { url } }));
  const questions = new Map([
    ["cache", answers.hits],
    ["resolver", answers.misses],
  ]);
  return [
    gauge("resolver_up", "Whether the resolver answered when it was asked last.", up),
    gauge("resolver_current", "Whether it is the resolver that is asked first.", current),
    // Without a token there is no feed, and nothing to be broken.
    gauge("feed_following", "Whether changes are heard of as they happen.", [
      { value: feed === "off" ? undefined : feed === "following" },
    ]),
    gauge("cached_answers", "Answers that are remembered.", [{ value: answers.cached }]),
    counter("questions_total", "Questions, by who answered them.", samplesBy("from", questions)),
    counter("stale_answers_total", "Answers given past their TTL because no resolver answered.", [
      { value: answers.stale },
    ]),
  ];
}

function transparentFamilies({ transparent }: ProxyStatus): Family[] {
  if (transparent === undefined) return [];
  const { names, listeners, connections, sessions, queries, dropped, problems, moreProblems } = transparent;
  return [
    gauge("transparent_names", "Names that have an address of their own here.", [{ value: names }]),
    gauge("transparent_listeners", "Service ports that are listened at.", [{ value: listeners }]),
    gauge("transparent_connections", "TCP clients of these.", [{ value: connections }]),
    gauge("transparent_sessions", "UDP clients of these.", [{ value: sessions }]),
    gauge("transparent_problems", "Service ports and the like that cannot be had.", [
      { value: problems.length + moreProblems },
    ]),
    counter("dns_queries_total", "Queries the DNS stub got.", [{ value: queries }]),
    counter("dns_dropped_total", "Queries it did not answer.", [{ value: dropped }]),
  ];
}
