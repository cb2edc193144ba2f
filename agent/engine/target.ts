import { type Address, isConnectable, isLoopbackHost, parseAddress } from "../../shared/address.ts";
import { BerthError } from "../../shared/errors.ts";

/** Where an engine is, and how it is reached. */
export type EngineTarget = EngineWay & {
  /** As people gave it, without what stands behind the question mark. */
  where: string;
  /** How people tell it from the host's other engines; each has its own. */
  label: string;
  /** Where its published ports are open, if people said so; a remote engine's are not open at this machine. */
  advertise: readonly Address[];
};

export type EngineWay =
  | { kind: "unix"; path: string }
  /** `tls`: the folder of ca.pem, cert.pem and key.pem; undefined: none of it, which is for this machine only. */
  | { kind: "tcp"; host: string; port: number; tls: string | undefined }
  /** `socket`: the engine's on the far side, where it is not the usual one. */
  | {
      kind: "ssh";
      user: string | undefined;
      host: string;
      port: number | undefined;
      socket: string | undefined;
    };

const forms =
  "unix:///path/of/socket, /path/of/socket, tcp://host:port?tls=/folder/of/certificates or ssh://user@host";
const usual = "unix:///var/run/docker.sock";
const maxEngines = 16;

/**
 * Reads a list of engines, separated by commas or spaces. When it names none, the engine is the one that people's other Docker tools use:
 * DOCKER_HOST, with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH. Throws a BerthError `bad-config` that says what would be right.
 */
export function parseEngineTargets(
  text: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): EngineTarget[] {
  const words = (text ?? "").split(/[\s,]+/).filter((word) => word !== "");
  const found = words.length > 0 ? words.map(parseTarget) : [parseTarget(targetFromDocker(env))];
  if (found.length > maxEngines)
    throw fault(`names ${found.length} engines, and an agent watches at most ${maxEngines}`);
  const twice = found.find(({ where }, index) => found.findIndex((other) => other.where === where) < index);
  if (twice !== undefined) throw fault(`names ${twice.where} twice; once is right`);
  return withOwnLabels(found);
}

type Unlabelled = Omit<EngineTarget, "label"> & EngineWay & { label: string | undefined };

function targetFromDocker(env: Readonly<Record<string, string | undefined>>): string {
  const { DOCKER_HOST: host, DOCKER_TLS_VERIFY: verify, DOCKER_CERT_PATH: folder, HOME: home } = env;
  if (!host) return usual;
  if (!host.startsWith("tcp://") || !verify || host.includes("?")) return host;
  // Docker's own tools look there too.
  const tls = folder || (home ? `${home}/.docker` : "");
  if (tls === "")
    throw fault("DOCKER_TLS_VERIFY needs DOCKER_CERT_PATH, the folder of ca.pem, cert.pem and key.pem");
  return `${host.replace(/\/$/, "")}?tls=${encodeURIComponent(tls)}`;
}

function parseTarget(word: string): Unlabelled {
  const [where = "", query = ""] = word.split(/\?(.*)/s);
  const settings = settingsFrom(word, query);
  const label = settings.get("name");
  if (label !== undefined && !/^[\w.-]{1,40}$/.test(label))
    throw fault(`"${word}": a name has 1 to 40 letters, digits, dots, hyphens or underscores`);
  const advertise = addressesFrom(word, settings.get("advertise"));
  const way = wayFrom(word, where, settings.get("tls"));
  return { ...way, where: where.startsWith("/") ? `unix://${where}` : where, label, advertise };
}

function settingsFrom(word: string, query: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const part of query.split("&").filter((piece) => piece !== "")) {
    const [key = "", value = ""] = part.split(/=(.*)/s);
    if (!["tls", "advertise", "name"].includes(key))
      throw fault(`"${word}": there is no setting "${key}"; there are tls, advertise and name`);
    if (settings.has(key)) throw fault(`"${word}" says ${key} twice`);
    settings.set(key, decoded(word, value));
  }
  return settings;
}

function decoded(word: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw fault(`"${word}": "${value}" is not percent-encoded as a URL is`);
  }
}

function addressesFrom(word: string, text: string | undefined): Address[] {
  if (text === undefined) return [];
  return text.split("+").map((part) => {
    const address = parseAddress(part);
    if (address !== undefined && isConnectable(address)) return address;
    throw fault(
      `"${word}": "${part}" is not an IP address others can connect to; advertise=10.0.0.5+fd00::5 is right`,
    );
  });
}

function wayFrom(word: string, where: string, tls: string | undefined): EngineWay {
  if (where.startsWith("tcp://")) return tcpWay(word, where, tls);
  if (tls !== undefined) throw fault(`"${word}": tls is for tcp://host:port`);
  if (where.startsWith("ssh://")) return sshWay(word, where);
  const path = where.startsWith("unix://") ? where.slice("unix://".length) : where;
  if (path.startsWith("/")) return { kind: "unix", path };
  throw fault(`"${word}" is not an engine; it is named ${forms}`);
}

function tcpWay(word: string, where: string, tls: string | undefined): EngineWay {
  const { host, port, user, path } = partsOf(word, where);
  if (port === undefined || user !== undefined || path !== "")
    throw fault(`"${word}": tcp://host:port is right, such as tcp://10.0.0.5:2376?tls=/etc/berth/docker`);
  if (tls !== undefined && !tls.startsWith("/"))
    throw fault(`"${word}": tls names the folder of ca.pem, cert.pem and key.pem by its whole path`);
  if (tls === undefined && !isLoopbackHost(host))
    throw fault(
      `"${word}": whoever reaches an engine without TLS is root on its machine, so berth uses none but this machine's; give ?tls=/folder of ca.pem, cert.pem and key.pem, or use ssh://`,
    );
  return { kind: "tcp", host, port, tls };
}

function sshWay(word: string, where: string): EngineWay {
  const { host, port, user, path } = partsOf(word, where);
  // The far side's shell reads it.
  if (path !== "" && path !== "/" && !/^\/[\w./-]+$/.test(path))
    throw fault(
      `"${word}": the socket's path may have letters, digits, dots, hyphens, underscores and slashes`,
    );
  return { kind: "ssh", user, host, port, socket: path === "" || path === "/" ? undefined : path };
}

interface Parts {
  host: string;
  port: number | undefined;
  user: string | undefined;
  path: string;
}

/** Not the URL parser, which takes more than is meant here: a host that starts with a hyphen would be an option to ssh. */
function partsOf(word: string, where: string): Parts {
  const match =
    /^\w+:\/\/(?:([A-Za-z0-9_][\w.-]*)@)?(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9_][\w.-]*))(?::(\d{1,5}))?(\/.*)?$/.exec(
      where,
    );
  const [, user, bracketed, plain, digits, path = ""] = match ?? [];
  const port = digits === undefined ? undefined : Number(digits);
  const host = bracketed ?? plain;
  const isRight = host !== undefined && (port === undefined || (port >= 1 && port <= 65535));
  if (isRight && (bracketed === undefined || parseAddress(bracketed) !== undefined))
    return { host, port, user, path };
  throw fault(`"${word}" is not an engine; it is named ${forms}`);
}

/** By the given name, else the machine, else what the socket's path suggests; of equal ones the later get a number. */
function withOwnLabels(found: readonly Unlabelled[]): EngineTarget[] {
  const taken = new Set<string>();
  for (const { label } of found) {
    if (label === undefined) continue;
    if (taken.has(label)) throw fault(`names two engines ${label}; each needs its own name`);
    taken.add(label);
  }
  return found.map((target) => {
    if (target.label !== undefined) return { ...target, label: target.label };
    const base =
      target.kind === "unix" ? (target.path.includes("podman") ? "podman" : "docker") : target.host;
    let label = base;
    for (let number = 2; taken.has(label); number++) label = `${base}-${number}`;
    taken.add(label);
    return { ...target, label };
  });
}

function fault(what: string): BerthError {
  return new BerthError("bad-config", `--engine ${what}`, { who: "--engine" });
}
