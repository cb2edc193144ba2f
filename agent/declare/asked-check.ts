import { durationFrom, portFrom, type TakeFault } from "./label-values.ts";

/** A check that a label asks for. */
export interface AskedCheck {
  /** undefined: a TCP connect. */
  httpPath: string | undefined;
  /** The container port; undefined: each TCP port apart for a connect, the port that stands in for 80 for a request. */
  port: number | undefined;
  /** Its state counts for the whole container, else for `port` alone. */
  ofWhole: boolean;
  intervalMs: number;
  timeoutMs: number;
}

export const usualCheck = { intervalMs: 10_000, timeoutMs: 3_000 };

const right = "tcp, http:/path, each with ,port=N ,interval=10s ,timeout=3s after it if need be, or off";

/** Reads `berth.check`; a fault asks for no check. */
export function checkFromLabel(text: string, fault: TakeFault): AskedCheck | "off" | undefined {
  // An option begins at a comma; other commas are the path's.
  const [kind = "", ...options] = text.trim().split(/,\s*(?=[a-z]+=)/i);
  if (kind.toLowerCase() === "off") return "off";
  const httpPath = /^http:/i.test(kind) ? kind.slice("http:".length) : undefined;
  if (kind.toLowerCase() !== "tcp" && httpPath === undefined) {
    fault(`berth.check=${text} is no check berth knows; give ${right}`);
    return undefined;
  }
  if (httpPath !== undefined && !isPath(httpPath)) {
    fault(
      `berth.check=${text}: a path begins with / and has no white space; give it as in http:/health, or percent-encoded`,
    );
    return undefined;
  }
  const check: AskedCheck = { httpPath, port: undefined, ofWhole: httpPath !== undefined, ...usualCheck };
  const isRight = options.every((option) => takeOption(check, option, text, fault));
  return isRight ? check : undefined;
}

/** What may stand in a request line: nothing in it can begin another line. */
export function isPath(text: string): boolean {
  return /^\/[\x21-\x7e]{0,1023}$/.test(text);
}

function takeOption(check: AskedCheck, option: string, text: string, fault: TakeFault): boolean {
  const at = option.indexOf("=");
  const [key, value] = [option.slice(0, at).toLowerCase(), option.slice(at + 1)];
  if (key === "port") {
    const port = portFrom(value);
    if (port !== undefined) Object.assign(check, { port, ofWhole: true });
    else fault(`berth.check=${text}: port=${value} is no container port; give one of 1 to 65535`);
    return port !== undefined;
  }
  const limits =
    key === "interval" ? checkLimits.interval : key === "timeout" ? checkLimits.timeout : undefined;
  if (limits === undefined) {
    fault(`berth.check=${text}: berth knows no option ${key}; it knows port, interval and timeout`);
    return false;
  }
  const ms = durationWithin(value, limits);
  if (ms === undefined) fault(`berth.check=${text}: ${key}=${value} is not ${limits.shown}`);
  else if (key === "interval") check.intervalMs = ms;
  else check.timeoutMs = ms;
  return ms !== undefined;
}

interface DurationLimits {
  least: number;
  most: number;
  shown: string;
}

export const checkLimits = {
  interval: { least: 1_000, most: 3_600_000, shown: "a time from 1s to 1h, such as 10s" },
  timeout: { least: 100, most: 10_000, shown: "a time from 100ms to 10s, such as 3s" },
};

/** In milliseconds; undefined when it is no duration, or one outside the limits. */
export function durationWithin(text: string, { least, most }: DurationLimits): number | undefined {
  const ms = durationFrom(text);
  return ms === undefined || ms < least || ms > most ? undefined : ms;
}
