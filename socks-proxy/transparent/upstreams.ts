import { readFileSync } from "node:fs";
import { join } from "node:path";

import { formatEndpoint, parseAddress } from "../../shared/address.ts";
import type { Log } from "../../shared/log.ts";
import type { ProxyConfig } from "../config.ts";
import { parseRange } from "./range.ts";
import { type Upstream, upstreamsFrom } from "./upstream-choice.ts";

export interface Upstreams {
  /** In the order they are to be asked; empty when this machine has none. Never this proxy itself. Cheap: for every question. */
  current(): readonly Upstream[];
  /** From then on the servers stay as they were last. */
  close(): void;
}

export type UpstreamSettings = Pick<ProxyConfig, "upstreamDns" | "dnsListen" | "transparentRange">;

export interface UpstreamPorts {
  log: Log;
  /** Milliseconds that only ever go up. */
  now: () => number;
  /** Below which the system's files lie; / unless said otherwise. */
  root?: string;
}

/** For how long what was read holds. Looking at three small files that often costs nothing; a watch on files that come, go and are links is easily lost. */
const readEveryMs = 1_000;

/**
 * The DNS servers that names outside the zones go to: `--upstream-dns`, else those this machine has now. It follows a machine that changes
 * networks, at most a second late, by reading what the machine's own name resolution says. Throws a BerthError `bad-config` for a bad range.
 */
export function watchUpstreams(settings: UpstreamSettings, ports: UpstreamPorts): Upstreams {
  const fixed = settings.upstreamDns.flatMap(({ host, port }) => {
    const address = parseAddress(host);
    return address === undefined ? [] : [{ address, port }];
  });
  if (fixed.length > 0) return { current: () => fixed, close: () => undefined };
  const own = { dnsListen: settings.dnsListen, range: parseRange(settings.transparentRange) };
  const root = ports.root ?? "/";
  let known: Upstream[] = [];
  let told: string | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  function current(): readonly Upstream[] {
    if (isClosed || ports.now() - readAt < readEveryMs) return known;
    readAt = ports.now();
    known = upstreamsFrom(readLists(root), own);
    const text = known.map(formatEndpoint).join(", ");
    if (text !== told) tell(text);
    return known;
  }

  function tell(text: string): void {
    told = text;
    if (text !== "") ports.log.info(`names outside the zones are asked of ${text}`);
    else
      ports.log.warn(
        "this machine has no DNS server for names outside the zones, which find nothing until it has; or name one with --upstream-dns",
      );
  }

  return {
    current,
    close: () => {
      isClosed = true;
    },
  };
}

function readLists(root: string) {
  return {
    system: readIfThere(join(root, "etc/resolv.conf")),
    resolved: readIfThere(join(root, "run/systemd/resolve/resolv.conf")),
    networkManager: readIfThere(join(root, "run/NetworkManager/no-stub-resolv.conf")),
  };
}

/** Missing, unreadable or half gone: then there is nothing to be learnt from it now. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
