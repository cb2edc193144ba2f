import { Agent } from "node:http";
import type { Readable } from "node:stream";

import Dockerode from "dockerode";
import { z } from "zod";

import { BerthError } from "../../shared/errors.ts";
import type { ContainerSummary, Engine, EngineInspect, Watch } from "./engine.ts";
import { hintFromEvent, LineSplitter } from "./event-lines.ts";
import { fingerprintOf } from "./fingerprint.ts";

/** A frozen engine accepts connections and never answers; nothing but our own limit ends such a call. */
const callLimitMs = 10_000;
/** A frozen engine's event stream stays open and silent, so a quiet one is checked this often. */
const quietMs = 15_000;

export interface DockerLimits {
  callMs: number;
  quietMs: number;
}

/** The Docker engine behind a unix socket. Opens nothing until it is asked something. */
export function createDockerEngine(
  socketPath: string,
  limits: DockerLimits = { callMs: callLimitMs, quietMs },
): Engine {
  return new DockerEngine(socketPath, limits);
}

/** What is used of dockerode. Its type package does not know that every call takes an abort signal. */
interface DockerCalls {
  listContainers(options: CallOptions): Promise<unknown>;
  getContainer(id: string): { inspect(options: CallOptions): Promise<unknown> };
  getEvents(options: CallOptions & { filters: Record<string, string[]> }): Promise<Readable>;
  info(options: CallOptions): Promise<unknown>;
  ping(options: CallOptions): Promise<unknown>;
}
interface CallOptions {
  abortSignal: AbortSignal;
}

const listSchema = z.array(z.looseObject({ Id: z.string().min(1), Names: z.array(z.string()).nullish() }));
const inspectSchema = z.record(z.string(), z.unknown());
const infoSchema = z.looseObject({ LiveRestoreEnabled: z.boolean().nullish() });

class DockerEngine implements Engine {
  readonly where: string;
  readonly #socketPath: string;
  readonly #limits: DockerLimits;
  readonly #docker: DockerCalls;
  readonly #underWay = new Set<(fault: BerthError) => void>();

  constructor(socketPath: string, limits: DockerLimits) {
    this.where = `unix://${socketPath}`;
    this.#socketPath = socketPath;
    this.#limits = limits;
    this.#docker = connectDockerode(socketPath);
  }

  async list(): Promise<ContainerSummary[]> {
    const answer = await this.#call((abortSignal) => this.#docker.listContainers({ abortSignal }));
    return this.#read(listSchema, answer, "list of containers").map((entry) => ({
      id: entry.Id,
      name: (entry.Names?.[0] ?? entry.Id.slice(0, 12)).replace(/^\//, ""),
      fingerprint: fingerprintOf(entry),
    }));
  }

  async inspect(id: string): Promise<EngineInspect | undefined> {
    const container = this.#docker.getContainer(id);
    const answer = await this.#call((abortSignal) => container.inspect({ abortSignal }), 404);
    return answer === undefined ? undefined : this.#read(inspectSchema, answer, "description of a container");
  }

  async liveRestore(): Promise<boolean> {
    const answer = await this.#call((abortSignal) => this.#docker.info({ abortSignal }));
    return this.#read(infoSchema, answer, "description of itself").LiveRestoreEnabled === true;
  }

  async watchEvents(
    onHint: (id: string | undefined) => void,
    onBroken: (fault: Error) => void,
  ): Promise<Watch> {
    // The stream outlives the call that opens it, so it has a signal of its own.
    const ending = new AbortController();
    const filters = { type: ["container", "network"] };
    const stream = await this.#call((limit) => {
      limit.addEventListener("abort", () => ending.abort(limit.reason), { once: true });
      return this.#docker.getEvents({ filters, abortSignal: ending.signal });
    });
    if (stream.destroyed) throw brokenStream(this.where, stream.errored);
    const quiet = this.#pingWhileQuiet(onHint);
    const lines = new LineSplitter((line) => {
      quiet.restart();
      const hint = hintFromEvent(line);
      if (hint.kind === "look") onHint(hint.id);
    });
    stream.setEncoding("utf8");
    stream.on("data", (chunk: string) => lines.take(chunk));
    let cause: unknown;
    stream.on("error", (fault) => {
      cause = fault;
    });
    // Docker never ends a stream in order: `error` comes first or not at all, `close` always.
    stream.on("close", () => {
      quiet.stop();
      if (!ending.signal.aborted) onBroken(brokenStream(this.where, cause));
    });
    return {
      close: () => {
        quiet.stop();
        ending.abort();
      },
    };
  }

  close(): void {
    const message = "the agent is closing";
    for (const end of this.#underWay) end(new BerthError("engine-unreachable", message, { who: this.where }));
  }

  /** A ping that fails is only a hint: the pass it wakes meets the same fault and can say what is wrong. */
  #pingWhileQuiet(onHint: (id: undefined) => void): { restart(): void; stop(): void } {
    let timer: NodeJS.Timeout | undefined;
    let stopped = false;
    const restart = (): void => {
      clearTimeout(timer);
      if (!stopped) timer = setTimeout(ping, this.#limits.quietMs);
    };
    const ping = async (): Promise<void> => {
      try {
        await this.#call((abortSignal) => this.#docker.ping({ abortSignal }));
      } catch {
        if (!stopped) onHint(undefined);
      }
      restart();
    };
    restart();
    return {
      restart,
      stop: () => {
        stopped = true;
        clearTimeout(timer);
      },
    };
  }

  #call<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T>;
  #call<T>(ask: (signal: AbortSignal) => Promise<T>, absent: number): Promise<T | undefined>;
  async #call<T>(ask: (signal: AbortSignal) => Promise<T>, absent?: number): Promise<T | undefined> {
    const limit = new AbortController();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const end = (fault: BerthError): void => {
      reject(fault);
      limit.abort(fault);
    };
    this.#underWay.add(end);
    const timer = setTimeout(() => end(silentEngine(this.where, this.#limits.callMs)), this.#limits.callMs);
    try {
      // Raced, because docker-modem never settles when an answer breaks off in the middle.
      return await Promise.race([ask(limit.signal), ended]);
    } catch (cause) {
      if (absent !== undefined && statusOf(cause) === absent) return undefined;
      throw engineFault(this.#socketPath, cause);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(end);
    }
  }

  #read<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    const message = `${this.where} did not answer as a Docker engine does when asked for a ${what}; check --engine`;
    throw new BerthError("engine-fault", message, { who: this.where, retryable: true, cause: parsed.error });
  }
}

function connectDockerode(socketPath: string): DockerCalls {
  // docker-modem takes what is not given here from DOCKER_* in the environment, where a host would win over the socket and a time-out
  // would cut the event stream. No pooled connections: one that an engine closed would look like a dead engine.
  const options = {
    socketPath,
    host: undefined,
    port: undefined,
    protocol: "http" as const,
    timeout: undefined,
    agent: new Agent({ keepAlive: false }),
  };
  try {
    return new Dockerode(options) as unknown as DockerCalls;
  } catch (cause) {
    const message = "the DOCKER_* variables of the environment cannot be used; unset them";
    throw new BerthError("bad-config", message, { who: "DOCKER_HOST", cause });
  }
}

function engineFault(socketPath: string, cause: unknown): BerthError {
  if (cause instanceof BerthError) return cause;
  const who = `unix://${socketPath}`;
  const status = statusOf(cause);
  if (status !== undefined) {
    return new BerthError("engine-fault", `the engine at ${who} refused`, { who, retryable: true, cause });
  }
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  const gone = code === "ENOENT" || code === "ECONNREFUSED";
  const message = `no engine at ${who}: ${mendOf(code)}`;
  return new BerthError("engine-unreachable", message, { who, retryable: true, facts: { gone }, cause });
}

function mendOf(code: unknown): string {
  if (code === "EACCES" || code === "EPERM")
    return "this user may not use the socket; add the user to its group (docker)";
  if (code === "ENOENT")
    return "there is no such socket; start the engine (systemctl start docker) or name its socket with --engine";
  return "nothing answers there; is the engine running (systemctl status docker)?";
}

function silentEngine(where: string, limitMs: number): BerthError {
  const message = `the engine at ${where} did not answer within ${limitMs / 1000} s; it may hang (systemctl status docker)`;
  return new BerthError("engine-unreachable", message, {
    who: where,
    retryable: true,
    facts: { gone: false },
  });
}

function brokenStream(where: string, cause: unknown): BerthError {
  const message = `the engine at ${where} ended its event stream; is the engine running (systemctl status docker)?`;
  const facts = { gone: true };
  return new BerthError("engine-unreachable", message, { who: where, retryable: true, facts, cause });
}

function statusOf(cause: unknown): number | undefined {
  const status = cause instanceof Error && "statusCode" in cause ? cause.statusCode : undefined;
  return typeof status === "number" ? status : undefined;
}
