import { Agent, type AgentOptions, IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { inspect } from "node:util";

import Dockerode from "dockerode";

import { BerthError } from "../../shared/errors.ts";
import { FolderTlsAgent } from "./certificates.ts";
import { DockerEngine, type EngineLimits } from "./docker-engine.ts";
import type { Engine } from "./engine.ts";
import type { EngineGet } from "./engine-calls.ts";
import { connectOverSsh } from "./ssh-connection.ts";
import type { EngineTarget } from "./target.ts";

/** A frozen engine accepts connections and never answers; nothing but our own limit ends such a call. */
const callMs = 10_000;
/** A frozen engine's event stream stays open and silent, so a quiet one is checked this often. */
const quietMs = 15_000;
/** A machine that lost its power says nothing; pings go by other connections, so the event stream's own is probed this often. */
const aliveMs = 15_000;

/**
 * The engine at `target`, Docker or whatever speaks its API. Opens nothing, and reads no certificates, until it is asked something.
 */
export function createEngine(target: EngineTarget, limits: EngineLimits = { callMs, quietMs }): Engine {
  return new DockerEngine(target, connectDockerode(target), limits);
}

/** What is used of dockerode: its own connection to the engine, whose calls all take an abort signal, which its methods do not. */
interface Modem {
  dial(options: DialOptions, done: (fault: unknown, answer: unknown) => void): void;
}
interface DialOptions {
  path: string;
  method: "GET";
  options: Record<string, unknown>;
  isStream: true;
  statusCodes: Record<number, true>;
  abortSignal: AbortSignal;
}

/** Every answer comes as a stream, so that how much of it is read is up to us: docker-modem would read it to its end, however far that is. */
const anyStatus = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [100 + index, true as const]));

function connectDockerode(target: EngineTarget): EngineGet {
  const options = { ...noneOfTheEnvironment, ...wayOf(target) };
  const { modem } = newDockerode(options) as unknown as { modem: Modem };
  return (path, query, abortSignal) =>
    new Promise((resolve, reject) => {
      const asked = {
        method: "GET",
        options: { ...query },
        isStream: true,
        statusCodes: anyStatus,
        abortSignal,
      } as const;
      // A path that ends so is continued with the options.
      const whole = Object.keys(query).length > 0 ? `${path}?` : path;
      modem.dial({ path: whole, ...asked }, (fault, answer) => {
        if (fault) reject(fault);
        else if (answer instanceof IncomingMessage) {
          if (answer.socket instanceof Socket) answer.socket.setKeepAlive(true, aliveMs);
          resolve(answer);
        } else reject(new Error("docker-modem gave no answer"));
      });
    });
}

/**
 * docker-modem takes what is not given from DOCKER_* in the environment, where a host would win over the socket and a time-out would cut
 * the event stream.
 */
const noneOfTheEnvironment = {
  socketPath: undefined,
  host: undefined,
  port: undefined,
  ca: undefined,
  cert: undefined,
  key: undefined,
  timeout: undefined,
  pathPrefix: "/",
  protocol: "http" as const,
};

function wayOf(target: EngineTarget): Record<string, unknown> {
  if (target.kind === "unix") return { socketPath: target.path, agent: unprinted(new Agent(onePerCall)) };
  // Its host is never looked up: the agent makes the connection.
  if (target.kind === "ssh") return { host: "ssh", port: 80, agent: unprinted(new SshAgent(target)) };
  const { host, port, tls } = target;
  if (tls === undefined) return { host, port, agent: unprinted(new Agent(onePerCall)) };
  return { protocol: "https", host, port, agent: unprinted(new FolderTlsAgent(tls)) };
}

/** No pooled connections: one that an engine closed would look like a dead engine. */
const onePerCall: AgentOptions = { keepAlive: false };

/** docker-modem prints all its options for a debug log that nobody reads, every socket of the agent included: 4 ms of each call. */
function unprinted<T extends Agent>(agent: T): T {
  return Object.assign(agent, { [inspect.custom]: () => "agent" });
}

class SshAgent extends Agent {
  readonly #target: EngineTarget & { kind: "ssh" };

  constructor(target: EngineTarget & { kind: "ssh" }) {
    super(onePerCall);
    this.#target = target;
  }

  override createConnection(): ReturnType<typeof connectOverSsh> {
    return connectOverSsh(this.#target);
  }
}

function newDockerode(options: Record<string, unknown>): Dockerode {
  try {
    return new Dockerode(options);
  } catch (cause) {
    const message = "the DOCKER_* variables of the environment cannot be used; unset them";
    throw new BerthError("bad-config", message, { who: "DOCKER_HOST", cause });
  }
}
