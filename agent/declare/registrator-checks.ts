import { type AskedCheck, checkLimits, durationWithin, isPath, usualCheck } from "./asked-check.ts";
import type { PortKey } from "./ports.ts";
import type { PortSettings, Settings } from "./registrator-settings.ts";

/** Checks that need a shell in the container, a certificate or another protocol: berth has none of them. */
const unread = ["check_https", "check_grpc", "check_script", "check_cmd", "check_ttl"];

/** SERVICE_[<port>_]CHECK_HTTP and _CHECK_TCP, of each TCP port for itself as registrator registers them; what is not read is noted. */
export function registratorChecks(
  settings: PortSettings,
  ports: readonly PortKey[],
  notes: string[],
): AskedCheck[] {
  const said = new Set<string>();
  const note = (text: string): void => {
    if (!said.has(text)) notes.push(text);
    said.add(text);
  };
  const tcp = new Set(
    ports.filter(({ protocol }) => protocol === "tcp").map(({ containerPort }) => containerPort),
  );
  return [...tcp].flatMap((port) => checkOf(settings.of(port), port, note) ?? []);
}

function checkOf(settings: Settings, port: number, note: (text: string) => void): AskedCheck | undefined {
  for (const key of unread) {
    if (settings[key] !== undefined) note(`SERVICE_${key.toUpperCase()} is a check berth does not make`);
  }
  const { check_http: path, check_tcp: tcp } = settings;
  if (path !== undefined && !isPath(path)) note("SERVICE_CHECK_HTTP is no path that begins with /");
  const httpPath = path !== undefined && isPath(path) ? path : undefined;
  if (httpPath === undefined && tcp === undefined) return undefined;
  return { httpPath, port, ofWhole: false, ...timesOf(settings, note) };
}

function timesOf(
  settings: Settings,
  note: (text: string) => void,
): { intervalMs: number; timeoutMs: number } {
  const { check_interval: interval, check_timeout: timeout } = settings;
  const intervalMs = interval === undefined ? undefined : durationWithin(interval, checkLimits.interval);
  const timeoutMs = timeout === undefined ? undefined : durationWithin(timeout, checkLimits.timeout);
  if (interval !== undefined && intervalMs === undefined)
    note(`SERVICE_CHECK_INTERVAL is not ${checkLimits.interval.shown}; 10s holds`);
  if (timeout !== undefined && timeoutMs === undefined)
    note(`SERVICE_CHECK_TIMEOUT is not ${checkLimits.timeout.shown}; 3s holds`);
  return { intervalMs: intervalMs ?? usualCheck.intervalMs, timeoutMs: timeoutMs ?? usualCheck.timeoutMs };
}
