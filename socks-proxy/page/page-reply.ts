import { isLoopbackHost } from "../../shared/address.ts";
import type { ListenAddress } from "../../shared/config.ts";
import { describeFault } from "../../shared/errors.ts";
import { type Log, oneLine } from "../../shared/log.ts";
import type { Name } from "../../shared/name.ts";
import { printableJson } from "../../shared/printable-json.ts";
import { metricsType } from "../../shared/prometheus.ts";
import { statusPage } from "./page-html.ts";
import { metricsText } from "./page-metrics.ts";
import { pacScript, pacType } from "./page-pac.ts";
import type { ProxyStatus } from "./page-status.ts";

/** Where the page gets what it shows. Asked for each request; a fault of it costs that request only. */
export interface PageSource {
  status(): ProxyStatus;
  zones(): readonly Name[];
  /** Where the proxy listens. */
  listen: ListenAddress;
}

export interface PageRequest {
  method: string;
  /** As the request line has it. */
  target: string;
  /** The one Host field; "" when there is none, or several. */
  host: string;
}

export interface PageReply {
  status: number;
  type: string;
  text: string;
  headers?: Record<string, string>;
}

const plain = "text/plain; charset=utf-8";

/** Never throws. */
export function pageReply(request: PageRequest, source: PageSource, log: Pick<Log, "error">): PageReply {
  // A web site can have its name point here and so make a browser ask as if for itself (DNS rebinding); but the browser says that name.
  if (!isOwnHost(request.host)) return refusal(421, "ask for it at http://127.0.0.1 or http://localhost");
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { ...refusal(405, "only GET is answered here"), headers: { allow: "GET, HEAD" } };
  }
  try {
    return replyAt(request, source);
  } catch (fault) {
    log.error(`a request for the proxy's page failed: ${describeFault(fault)}`);
    return refusal(500, "the proxy could not tell; its log says why");
  }
}

function isOwnHost(host: string): boolean {
  return isLoopbackHost(/^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(host)?.[1] ?? "");
}

function replyAt({ target, host }: PageRequest, source: PageSource): PageReply {
  // By hand: a URL parser would find a host in //host/status.
  const [path = ""] = target.split("?", 1);
  switch (path) {
    case "/":
      return page("text/html; charset=utf-8", statusPage(source.status(), `http://${host}`));
    case "/status":
      return page("application/json", `${printableJson(source.status())}\n`);
    case "/metrics":
      return page(metricsType, metricsText(source.status()));
    case "/proxy.pac":
    // Where browsers look for it that find their proxy by themselves (WPAD).
    case "/wpad.dat": {
      const { asksForUsers } = source.status();
      return page(pacType, pacScript(source.zones(), { listen: source.listen, asksForUsers }));
    }
    default:
      return refusal(404, "there are /, /status, /metrics, /proxy.pac and /wpad.dat");
  }
}

function page(type: string, text: string): PageReply {
  return { status: 200, type, text };
}

function refusal(status: number, text: string): PageReply {
  return { status, type: plain, text: `${oneLine(text)}\n` };
}
