import { Readable } from "node:stream";

import { z } from "zod";

import { BerthError } from "../../shared/errors.ts";
import type { ContainerSummary, Engine, EngineAbout, EngineInspect, Watch } from "./engine.ts";
import { EngineCalls, type EngineGet } from "./engine-calls.ts";
import { brokenStream } from "./engine-faults.ts";
import { type EngineEvent, eventFromLine, LineSplitter } from "./event-lines.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { EngineTarget } from "./target.ts";

export interface EngineLimits {
  /** How long one call may take. */
  callMs: number;
  /** How long the event stream may say nothing before the engine is asked whether it lives. */
  quietMs: number;
}

const listSchema = z.array(z.looseObject({ Id: z.string().min(1), Names: z.array(z.string()).nullish() }));
const inspectSchema = z.record(z.string(), z.unknown());
const versionSchema = z.looseObject({
  Version: z.string().nullish(),
  Components: z.array(z.looseObject({ Name: z.string().nullish() })).nullish(),
});
const infoSchema = z.looseObject({
  LiveRestoreEnabled: z.boolean().nullish(),
  SecurityOptions: z.array(z.string()).nullish(),
  Rootless: z.boolean().nullish(),
});

/** What a filtering proxy, or the engine itself, answers to a question it does not allow. */
const refused = [401, 403, 405];

/** Asks an engine for what the agent needs, and for nothing else: events, containers, single images, version, info and ping. */
export class DockerEngine implements Engine {
  readonly where: string;
  readonly #target: EngineTarget;
  readonly #get: EngineGet;
  readonly #calls: EngineCalls;
  readonly #quietMs: number;

  constructor(target: EngineTarget, get: EngineGet, { callMs, quietMs }: EngineLimits) {
    this.where = target.where;
    this.#target = target;
    this.#get = get;
    this.#calls = new EngineCalls(target, callMs);
    this.#quietMs = quietMs;
  }

  async list(): Promise<ContainerSummary[]> {
    const answer = await this.#ask("/containers/json");
    return this.#read(listSchema, answer, "list of containers").map((entry) => ({
      id: entry.Id,
      name: (entry.Names?.[0] ?? entry.Id.slice(0, 12)).replace(/^\//, ""),
      fingerprint: fingerprintOf(entry),
    }));
  }

  async inspect(id: string): Promise<EngineInspect | undefined> {
    const answer = await this.#ask(`/containers/${encodeURIComponent(id)}/json`, [404]);
    return answer === undefined ? undefined : this.#read(inspectSchema, answer, "description of a container");
  }

  async inspectImage(id: string): Promise<EngineInspect | undefined> {
    // sha256:… as it is, for filtering proxies that compare the path.
    const answer = await this.#ask(`/images/${encodeURIComponent(id).replace("%3A", ":")}/json`, [
      404,
      ...refused,
    ]);
    return answer === undefined ? undefined : this.#read(inspectSchema, answer, "description of an image");
  }

  async about(): Promise<EngineAbout> {
    const [told, information] = await Promise.all([this.#ask("/version"), this.#ask("/info", refused)]);
    const version = this.#read(versionSchema, told, "version");
    const info = this.#read(infoSchema, information ?? {}, "description of itself");
    const names = (version.Components ?? []).map(({ Name }) => Name ?? "");
    const isUsers = this.#target.kind === "unix" && /^(?:\/var)?\/run\/user\//.test(this.#target.path);
    const isToldRootless = info.Rootless === true || info.SecurityOptions?.includes("name=rootless") === true;
    return {
      kind: names.some((name) => /podman/i.test(name)) ? "podman" : "docker",
      version: version.Version ?? "",
      rootless: isToldRootless || isUsers,
      liveRestore: info.LiveRestoreEnabled === true,
    };
  }

  async watchEvents(onEvent: (event: EngineEvent) => void, onBroken: (fault: Error) => void): Promise<Watch> {
    const ending = new AbortController();
    const stream = await this.#openEvents(ending);
    const quiet = this.#pingWhileQuiet(onEvent);
    const lines = new LineSplitter((line) => {
      quiet.restart();
      const event = eventFromLine(line);
      if (event.kind !== "nothing") onEvent(event);
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
      if (!ending.signal.aborted) onBroken(brokenStream(this.#target, cause));
    });
    return {
      close: () => {
        quiet.stop();
        ending.abort();
      },
    };
  }

  close(): void {
    this.#calls.close();
  }

  async #openEvents(ending: AbortController): Promise<Readable> {
    const filters = { type: ["container", "network"] };
    const stream = await this.#calls.run((limit) => {
      // The stream outlives the call that opens it, so it has a signal of its own.
      limit.addEventListener("abort", () => ending.abort(limit.reason), { once: true });
      return this.#get("/events", { filters }, true, ending.signal);
    });
    if (!(stream instanceof Readable)) throw this.#strange("stream of events");
    if (stream.destroyed) throw brokenStream(this.#target, stream.errored);
    return stream;
  }

  /** A ping that fails is only a hint: the pass it wakes meets the same fault and can say what is wrong. */
  #pingWhileQuiet(onEvent: (event: EngineEvent) => void): { restart(): void; stop(): void } {
    let timer: NodeJS.Timeout | undefined;
    let stopped = false;
    const restart = (): void => {
      clearTimeout(timer);
      if (!stopped) timer = setTimeout(ping, this.#quietMs);
    };
    const ping = async (): Promise<void> => {
      try {
        await this.#ask("/_ping");
      } catch {
        if (!stopped) onEvent({ kind: "look", id: undefined });
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

  #ask(path: string, absent?: readonly number[]): Promise<unknown> {
    return this.#calls.run((signal) => this.#get(path, {}, false, signal), absent);
  }

  #read<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw this.#strange(what, parsed.error);
  }

  #strange(what: string, cause?: unknown): BerthError {
    const message = `${this.where} did not answer as a container engine does when asked for a ${what}; check --engine`;
    return new BerthError("engine-fault", message, { who: this.where, retryable: true, cause });
  }
}
