import { join } from "node:path";
import { startProcess } from "../testbed/process.ts";
import { until } from "../testbed/wait.ts";
import { node } from "./parts.ts";

export type StormSettings = {
  proxyPort: number;
  /** Asked of the proxy, at port 80. */
  name: string;
  perSecond: number;
  /** A server that is always there, reached by the proxy at its IPv4 address: how long the machine itself takes at that moment. */
  control: { host: string; port: number };
};

/** When something began, in milliseconds since 1970, and how long it took. */
export type Span = { at: number; ms: number };

export type StormReport = {
  connections: number;
  /** Connections that the proxy made and that brought their page. */
  pages: number;
  /** Connections that the proxy made, and that ended before there was a page: they were open while their container was stopped. */
  cut: Span[];
  /** Connections that the proxy refused, lost, or did not answer for. */
  failed: { at: number; why: string }[];
  /** The 1,000 longest from the first octet to the proxy's word that it is connected, longest first. */
  waits: Span[];
  /** The same of connections to the control. */
  controls: Span[];
};

export type Storm = {
  /** Returns when so many more pages have come. */
  morePages(count: number): Promise<void>;
  /** Ends it, and returns what became of its connections. */
  stop(): Promise<StormReport>;
};

/** Opens new connections through the proxy of a client's network, steadily, until it is stopped. */
export function startStorm(netns: string, settings: StormSettings): Storm {
  const argv = [node, join(import.meta.dirname, "storm-main.ts"), JSON.stringify(settings)];
  const started = startProcess(argv, { netns, name: "storm" });
  const pages = (): number => Number(/^pages (\d+)$/.exec(started.lines.at(-1) ?? "")?.[1] ?? 0);
  return {
    async morePages(count) {
      const wanted = pages() + count;
      await until(`${count} more pages:\n${started.tail(3)}`, () => pages() >= wanted, { timeoutMs: 60_000 });
    },
    async stop() {
      started.signal("SIGTERM");
      const line = await started.waitForLine(/^\{/, 60_000);
      await started.exited;
      return JSON.parse(line) as StormReport;
    },
  };
}

/**
 * The waits longer than `ms` that names and restarts are to blame for: none of the connections to the control in the same half second
 * took a third as long, so the machine had time for the proxy.
 */
export function longWaits({ waits, controls }: StormReport, ms: number): Span[] {
  const stalls = controls.filter((control) => control.ms > ms / 3);
  return waits.filter((wait) => wait.ms > ms && !stalls.some((stall) => areNear(wait, stall, 250)));
}

/** Whether the spans overlap, or one follows the other within so many milliseconds. */
export function areNear(one: Span, other: Span, withinMs: number): boolean {
  return one.at < other.at + other.ms + withinMs && other.at < one.at + one.ms + withinMs;
}
