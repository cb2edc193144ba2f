import type { ContainerFacts } from "../engine/facts.ts";

/** SERVICE_<KEY> by its key in lower case: `name`, `ignore`, `check_http`. Empty texts are as good as none. */
export type Settings = Readonly<Partial<Record<string, string>>>;

export interface PortSettings {
  isEmpty: boolean;
  /** What was said without a port. */
  general: Settings;
  /** What was said of this container port alone. */
  own(port: number): Settings;
  /** What holds for a container port: its own words before the general ones. */
  of(port: number): Settings;
}

/** Reads SERVICE_* as registrator does: variables and labels, of which the label wins. */
export function settingsOf({ labels, env }: Pick<ContainerFacts, "labels" | "env">): PortSettings {
  const general: Record<string, string> = Object.create(null);
  const byPort = new Map<number, Record<string, string>>();
  for (const [key, text] of [...Object.entries(env), ...Object.entries(labels)]) {
    const match = /^SERVICE_(?:(\d{1,5})_)?([A-Za-z].*)$/.exec(key);
    if (match === null || text === "") continue;
    const [, port, rest = ""] = match;
    if (!isRead(rest)) continue;
    const settings = port === undefined ? general : (byPort.get(Number(port)) ?? Object.create(null));
    settings[rest.toLowerCase()] = text;
    if (port !== undefined) byPort.set(Number(port), settings);
  }
  const own = (port: number): Settings => byPort.get(port) ?? none;
  const isEmpty = byPort.size === 0 && Object.keys(general).length === 0;
  return { isEmpty, general, own, of: (port) => ({ ...general, ...own(port) }) };
}

/** Names, switches and checks, those included that berth does not make. Others would be carried along for each of a container's ports. */
function isRead(key: string): boolean {
  return /^(NAME|IGNORE|CHECK_(HTTPS?|TCP|INTERVAL|TIMEOUT|GRPC|SCRIPT|CMD|TTL))$/i.test(key);
}

const none: Settings = Object.freeze({});
