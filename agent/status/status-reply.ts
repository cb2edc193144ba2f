import { isLoopbackHost, parseAddress } from "../../shared/address.ts";
import { describeFault } from "../../shared/errors.ts";
import { type Log, oneLine } from "../../shared/log.ts";
import { printableJson } from "../../shared/printable-json.ts";
import { metricsType } from "../../shared/prometheus.ts";
import type { AgentStatus } from "./agent-status.ts";
import { metricsText } from "./metrics.ts";

/** Where the agent's parts tell how they are. Both are asked for each request; a fault of theirs costs that request only. */
export interface StatusSource {
  status(): AgentStatus;
  /** Why a container, service or name is declared as it is, a line each; undefined: nobody knows of it. */
  explain(what: string): string[] | undefined;
}

export interface StatusRequest {
  method: string;
  /** As the request line has it. */
  target: string;
  /** The one Host header; "" when there is none, or several. */
  host: string;
  hasBody: boolean;
}

export interface StatusReply {
  status: number;
  type: string;
  text: string;
  headers?: Record<string, string>;
}

export interface ReplyMeans {
  source: StatusSource;
  log: Log;
  /** The operator lets other machines connect. */
  isOpenToOthers: boolean;
  /** What those call this one, in lower case. */
  ownNames: readonly string[];
  /** An explanation declares the whole host anew, so there is a limit to them for everybody together. */
  mayExplain(): boolean;
}

const plain = "text/plain; charset=utf-8";
/** A name has 253 characters at most, and no engine takes longer ones for a container. */
const longestSubject = 300;

/** Never throws. */
export function replyTo(request: StatusRequest, means: ReplyMeans): StatusReply {
  const { log } = means;
  if (!isOwnHost(request.host, means))
    return refusal(
      421,
      "ask for it by this machine's own address or hostname, such as http://127.0.0.1 or http://localhost",
    );
  if (request.method !== "GET" && request.method !== "HEAD")
    return { ...refusal(405, "only GET is answered here"), headers: { allow: "GET, HEAD" } };
  if (request.hasBody) return refusal(413, "a request has no body here");
  try {
    return pageAt(request.target, means);
  } catch (fault) {
    log.error(`a request for metrics or status failed: ${describeFault(fault)}`);
    return refusal(500, "the agent could not tell; its log says why");
  }
}

/**
 * A web site can have its name point to this machine and so make a browser ask here as if for itself (DNS rebinding); but the browser then
 * says that name. An address it cannot forge, so where other machines may connect, any address will do, and the names this one has itself.
 */
function isOwnHost(host: string, { isOpenToOthers, ownNames }: ReplyMeans): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(host)?.[1] ?? "";
  if (isLoopbackHost(name)) return true;
  if (!isOpenToOthers) return false;
  return ownNames.includes(name.toLowerCase()) || parseAddress(name.replace(/^\[|\]$/g, "")) !== undefined;
}

function pageAt(target: string, means: ReplyMeans): StatusReply {
  const { source } = means;
  // By hand: a URL parser would find a host in //host/metrics.
  const [path = "", query = ""] = target.split("?", 2);
  switch (path) {
    case "/metrics":
      return page(metricsType, metricsText(source.status()));
    case "/status":
      return page("application/json", `${printableJson(source.status())}\n`);
    case "/explain":
      return explanation(new URLSearchParams(query).get("of") ?? "", means);
    default:
      return refusal(404, "there are /metrics, /status and /explain?of=NAME");
  }
}

function explanation(what: string, { source, mayExplain }: ReplyMeans): StatusReply {
  if (what === "" || what.length > longestSubject)
    return refusal(400, "say what to explain, a container, a service or a name, as in /explain?of=web");
  if (!mayExplain()) {
    const busy = refusal(429, "too many explanations are asked for at once; ask again in a second");
    return { ...busy, headers: { "retry-after": "1" } };
  }
  const lines = source.explain(what);
  if (lines === undefined) return refusal(404, `the agent knows no container, service or name "${what}"`);
  // Labels are quoted in them.
  return page(plain, lines.map((line) => `${oneLine(line)}\n`).join(""));
}

function page(type: string, text: string): StatusReply {
  return { status: 200, type, text };
}

function refusal(status: number, text: string): StatusReply {
  return { status, type: plain, text: `${oneLine(text)}\n` };
}
