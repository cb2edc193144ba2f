import { oneLine } from "../../shared/log.ts";
import type { Problem } from "../transparent/port-fault.ts";
import type { ProxyStatus } from "./page-status.ts";

/** The status for people: one page, without a script. `pageUrl` is where it is itself, without a slash at its end. */
export function statusPage(status: ProxyStatus, pageUrl: string): string {
  const { listen, uptime, zones, connections, granted, refused, answers } = status;
  const refusals = Object.entries(refused).map(([kind, count]) => `${kind}: ${count}`);
  return document([
    heading("berth proxy"),
    table([
      ["zones", zones.join(", ")],
      ["SOCKS and HTTP at", listen],
      ["in a browser", `${pageUrl}/proxy.pac as its automatic proxy configuration`],
      ["in a shell", `export ALL_PROXY=socks5h://${listen}`],
      ["up for", durationText(uptime)],
    ]),
    heading("Resolvers"),
    table([
      ...status.resolvers.map(({ url, state, fault }) => [url, withFault(state, fault)] as const),
      ["changes", feedText(status.feed)],
      [
        "answers",
        `${answers.cached} remembered, ${answers.hits} given from these, ${answers.misses} asked for, ${answers.stale} stale`,
      ],
    ]),
    heading("Connections"),
    table([
      ["open", String(connections)],
      ["granted", String(granted)],
      ["refused", refusals.length === 0 ? "none" : refusals.join(", ")],
    ]),
    ...transparentPart(status),
  ]);
}

function transparentPart({ transparent }: ProxyStatus): string[] {
  if (transparent === undefined) return [];
  const { dns, upstreams, names, listeners, connections, sessions, ipv6, problems, moreProblems } =
    transparent;
  return [
    heading("Transparent mode"),
    table([
      ["DNS at", dns],
      ["other names from", upstreams.join(", ")],
      ["names", `${names}, ${listeners} ports${ipv6 ? ", with IPv6" : ""}`],
      ["clients", `${connections} by TCP, ${sessions} by UDP`],
      ...problems.map((problem) => ["problem", problemText(problem)] as const),
      ...(moreProblems === 0 ? [] : [["problems", `and ${moreProblems} more`] as const]),
    ]),
  ];
}

function problemText({ what, fault, mend }: Problem): string {
  return `${what}: ${fault}; ${mend}`;
}

function withFault(state: string, fault: string | undefined): string {
  return fault === undefined ? state : `${state}: ${fault}`;
}

function feedText(feed: ProxyStatus["feed"]): string {
  if (feed === "following") return "are heard of as they happen";
  if (feed === "broken") return "are not heard of now; answers are asked for again when their time is over";
  return "are not followed, which needs a token (--token-file)";
}

function durationText(seconds: number): string {
  const [days, hours, minutes] = [
    Math.floor(seconds / 86_400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  if (days > 0) return `${days} d ${hours} h`;
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min ${seconds % 60} s`;
}

function heading(text: string): string {
  return `<h2>${escaped(text)}</h2>`;
}

function table(rows: readonly (readonly [string, string])[]): string {
  const lines = rows.map(([name, value]) => `<tr><th>${escaped(name)}</th><td>${escaped(value)}</td></tr>`);
  return `<table>\n${lines.join("\n")}\n</table>`;
}

function document(parts: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>berth proxy</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50em; margin: 1em auto; padding: 0 1em }
th { text-align: left; font-weight: normal; opacity: .7; padding-right: 2em; vertical-align: top; white-space: nowrap }
td { overflow-wrap: anywhere }
</style>
${parts.join("\n")}
<p><a href="/status">status as JSON</a>, <a href="/metrics">metrics</a>, <a href="/proxy.pac">proxy.pac</a></p>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Names, faults and problems have others' words in them. */
function escaped(text: string): string {
  return oneLine(text.toWellFormed()).replace(/[&<>"']/g, (character) => entities[character] ?? "");
}
