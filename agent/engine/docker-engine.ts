import type { Readable } from "node:stream";

import { z } from "zod";

import { BerthError } from "../../shared/errors.ts";
import type { ContainerSummary, Engine, EngineAbout, EngineInspect, Watch } from "./engine.ts";
import { maxAnswer, readAnswer } from "./engine-answer.ts";
import { EngineCalls, type EngineGet } from "./engine-calls.ts";
import { brokenStream } from "./engine-faults.ts";
import { type EngineEvent, eventFromLine, LineSplitter } from "./event-lines.ts";
import { EventStream } from "./event-stream.ts";
import { fingerprintOf } from "./fingerprint.ts";
import type { EngineTarget } from "./target.ts";

export interface EngineLimits {
  /** How long one call may take. */
  callMs: number;
  /** How long the event stream may say nothing before the engine is asked whether it lives. */
  quietMs: number;
  /** How long an engine whose event stream was cut has to show that it lives on; 300 ms, and by ssh 1 s, which is slow to connect. */
  resumeMs?: number;
  /** A stream that is cut sooner than this is not taken up again; 1 s. */
  calmMs?: number;
}

const usualResumeMs = 300;
const sshResumeMs = 1_000;
const usualCalmMs = 1_000;
const newestMs = 1_000;
const listPath = "/containers/json";
/** Podman's list has no paused container unless asked for; it does not know all of Docker's words for a status, nor Docker all of its. */
const podmanList = { filters: { status: ["running", "paused"] } };

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

interface Asked {
  query?: Readonly<Record<string, unknown>>;
  /** Statuses that stand for nothing there. */
  absent?: readonly number[] | undefined;
}

/** Asks an engine for what the agent needs, and for nothing else: events, containers, single images, version, info and ping. */
export class DockerEngine implements Engine {
  readonly where: string;
  readonly #target: EngineTarget;
  readonly #get: EngineGet;
  readonly #calls: EngineCalls;
  readonly #limits: Required<EngineLimits>;
  /** Undefined until it was asked. */
  #kind: EngineAbout["kind"] | undefined;

  constructor(target: EngineTarget, get: EngineGet, limits: EngineLimits) {
    this.where = target.where;
    this.#target = target;
    this.#get = get;
    this.#calls = new EngineCalls(target, limits.callMs);
    this.#limits = {
      resumeMs: target.kind === "ssh" ? sshResumeMs : usualResumeMs,
      calmMs: usualCalmMs,
      ...limits,
    };
  }

  async list(): Promise<ContainerSummary[]> {
    const answer = await this.#ask(listPath, { query: this.#kind === "podman" ? podmanList : {} });
    return this.#read(listSchema, answer, "list of containers").map((entry) => ({
      id: entry.Id,
      name: (entry.Names?.[0] ?? entry.Id.slice(0, 12)).replace(/^\//, ""),
      fingerprint: fingerprintOf(entry),
    }));
  }

  async inspect(id: string): Promise<EngineInspect | undefined> {
    const answer = await this.#ask(`/containers/${encodeURIComponent(id)}/json`, { absent: [404] });
    return answer === undefined ? undefined : this.#read(inspectSchema, answer, "description of a container");
  }

  async inspectImage(id: string): Promise<EngineInspect | undefined> {
    // sha256:… as it is, for filtering proxies that compare the path.
    const answer = await this.#ask(`/images/${encodeURIComponent(id).replace("%3A", ":")}/json`, {
      absent: [404, ...refused],
    });
    return answer === undefined ? undefined : this.#read(inspectSchema, answer, "description of an image");
  }

  async about(): Promise<EngineAbout> {
    const [told, information] = await Promise.all([
      this.#ask("/version"),
      this.#ask("/info", { absent: refused }),
    ]);
    const version = this.#read(versionSchema, told, "version");
    const info = this.#read(infoSchema, information ?? {}, "description of itself");
    const isUsers = this.#target.kind === "unix" && /^(?:\/var)?\/run\/user\//.test(this.#target.path);
    const isToldRootless = info.Rootless === true || info.SecurityOptions?.includes("name=rootless") === true;
    this.#kind = kindOf(version);
    return {
      kind: this.#kind,
      version: version.Version ?? "",
      rootless: isToldRootless || isUsers,
      liveRestore: info.LiveRestoreEnabled === true,
    };
  }

  async watchEvents(onEvent: (event: EngineEvent) => void, onBroken: (fault: Error) => void): Promise<Watch> {
    const look = (): void => onEvent({ kind: "look", id: undefined });
    const quiet = this.#pingWhileQuiet(look);
    const events = new EventStream({
      open: (ending, since) => this.#openEvents(ending, since === undefined ? {} : { since }),
      onLine: (line) => {
        quiet.restart();
        const event = eventFromLine(line);
        if (event.kind !== "nothing") onEvent(event);
      },
      onResumed: () => {
        quiet.restart();
        look();
      },
      onBroken: (cause) => {
        quiet.stop();
        onBroken(brokenStream(this.#target, cause));
      },
      isForgetful: () => this.#kind === "docker",
      resumeMs: this.#limits.resumeMs,
      calmMs: this.#limits.calmMs,
    });
    await events.open();
    quiet.restart();
    const asking = new AbortController();
    void this.#offerNewestEvent(events, asking);
    return {
      close: () => {
        asking.abort();
        quiet.stop();
        events.close();
      },
    };
  }

  close(): void {
    this.#calls.close();
  }

  async #openEvents(ending: AbortController, query: Readonly<Record<string, string>>): Promise<Readable> {
    const filters = { type: ["container", "network"] };
    const stream = await this.#calls.run(async (limit) => {
      // The stream outlives the call that opens it, so it has a signal of its own.
      limit.addEventListener("abort", () => ending.abort(limit.reason), { once: true });
      const answer = await this.#get("/events", { ...query, filters }, ending.signal);
      if (answer.statusCode !== 200) await readAnswer(answer, maxAnswer.other);
      return answer;
    });
    if (stream === undefined) throw this.#strange("stream of events");
    if (stream.destroyed) throw brokenStream(this.#target, stream.errored);
    return stream;
  }

  /**
   * A quiet engine may tell no event for days, but it remembers some, and a cut stream is taken up again from one of them. Believed only
   * right after the subscription: within so short a time no engine ends, starts and answers anew without breaking the stream first.
   */
  async #offerNewestEvent(events: EventStream, ending: AbortController): Promise<void> {
    const timer = setTimeout(() => ending.abort(), newestMs);
    let newest = "";
    const lines = new LineSplitter((line) => {
      newest = line;
    });
    try {
      this.#kind ??= kindOf(this.#read(versionSchema, await this.#ask("/version"), "version"));
      // Podman reads them from the system's journal, the whole of it.
      if (this.#kind !== "docker" || ending.signal.aborted) return;
      const until = String(Math.floor(Date.now() / 1000));
      const stream = await this.#openEvents(ending, { since: "1", until });
      stream.setEncoding("utf8");
      for await (const chunk of stream) lines.take(String(chunk));
    } catch {
      // The next event will do.
    } finally {
      clearTimeout(timer);
      events.offerLandmark(newest);
    }
  }

  /** A ping that fails is only a hint: the pass it wakes meets the same fault and can say what is wrong. */
  #pingWhileQuiet(look: () => void): { restart(): void; stop(): void } {
    let timer: NodeJS.Timeout | undefined;
    let stopped = false;
    const restart = (): void => {
      clearTimeout(timer);
      if (!stopped) timer = setTimeout(ping, this.#limits.quietMs);
    };
    const ping = async (): Promise<void> => {
      try {
        await this.#ask("/_ping");
      } catch {
        if (!stopped) look();
      }
      restart();
    };
    return {
      restart,
      stop: () => {
        stopped = true;
        clearTimeout(timer);
      },
    };
  }

  #ask(path: string, { query = {}, absent }: Asked = {}): Promise<unknown> {
    const most = path === listPath ? maxAnswer.list : maxAnswer.other;
    return this.#calls.run(async (signal) => readAnswer(await this.#get(path, query, signal), most), absent);
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

function kindOf({ Components }: z.infer<typeof versionSchema>): EngineAbout["kind"] {
  return (Components ?? []).some(({ Name }) => /podman/i.test(Name ?? "")) ? "podman" : "docker";
}
