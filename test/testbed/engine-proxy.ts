import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type EventPlan, LineMangler, type MangleCounts, newMangleCounts } from "./engine-proxy-events.ts";
import { makeTemporaryDir, type TemporaryDir } from "./temporary-dir.ts";

export type EngineProxyOptions = {
  /** The engine's own socket. */
  engine: string;
  /** `info` is passed on as well. */
  allowsInfo?: boolean;
  /** What happens to events on their way; without it they pass as they come. */
  events?: EventPlan;
};

/** What an agent may ask an engine for, and no more. */
const readable = [
  /^\/events$/,
  /^\/containers\/json$/,
  /^\/containers\/[^/]+\/json$/,
  /^\/images\/.+\/json$/,
  /^\/networks(\/[^/]+)?$/,
  /^\/version$/,
  /^\/_ping$/,
];

/** A socket in front of an engine's: it passes reads on, refuses all else with 403, and is as unreliable as it is told to be. */
export class EngineProxy {
  readonly socketPath: string;
  /** Everything asked for, as `GET /containers/ID/json`, with how often. */
  readonly asked = new Map<string, number>();
  /** What was answered with 403. */
  readonly refused = new Set<string>();
  readonly counts: MangleCounts & { broken: number; hung: number } = {
    ...newMangleCounts(),
    broken: 0,
    hung: 0,
  };
  readonly #options: EngineProxyOptions;
  readonly #dir: TemporaryDir;
  readonly #server: Server;
  readonly #eventStreams = new Set<ServerResponse>();
  #resume: (() => void) | undefined;
  #free: Promise<void> = Promise.resolve();
  #streams = 0;

  static async start(options: EngineProxyOptions): Promise<EngineProxy> {
    const proxy = new EngineProxy(options);
    await new Promise<void>((resolve) => proxy.#server.listen(proxy.socketPath, resolve));
    return proxy;
  }

  private constructor(options: EngineProxyOptions) {
    this.#options = options;
    this.#dir = makeTemporaryDir("berth-x-");
    this.socketPath = join(this.#dir.path, "sock");
    this.#server = createServer((asking, answer) => this.#serve(asking, answer));
  }

  /** Ends the event streams that are open, as an engine that dies does. */
  breakStreams(): void {
    this.counts.broken += this.#eventStreams.size;
    for (const stream of this.#eventStreams) stream.destroy();
  }

  /** From now on no call is answered, as by a frozen engine; streams that are open stay open. */
  hang(): void {
    if (this.#resume !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#free = promise;
    this.#resume = resolve;
  }

  release(): void {
    this.#resume?.();
    this.#resume = undefined;
  }

  async close(): Promise<void> {
    this.release();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#dir.remove();
  }

  async #serve(asking: IncomingMessage, answer: ServerResponse): Promise<void> {
    const path = pathOf(asking.url);
    const what = `${asking.method} ${path.replace(/^\/(containers|images)\/.+\/json$/, "/$1/ID/json")}`;
    this.asked.set(what, (this.asked.get(what) ?? 0) + 1);
    if (!this.#isAllowed(asking.method, path)) {
      this.refused.add(what);
      asking.resume();
      answer.writeHead(403, { "content-type": "application/json" }).end('{"message":"not allowed here"}');
      return;
    }
    if (this.#resume !== undefined) this.counts.hung++;
    await this.#free;
    if (!answer.destroyed) this.#passOn(asking, answer, path);
  }

  #isAllowed(method: string | undefined, path: string): boolean {
    if (method !== "GET" && method !== "HEAD") return false;
    return (this.#options.allowsInfo === true && path === "/info") || readable.some((one) => one.test(path));
  }

  #passOn(asking: IncomingMessage, answer: ServerResponse, path: string): void {
    const { method, url, headers } = asking;
    const upstream = request({ socketPath: this.#options.engine, method, path: url, headers, agent: false });
    upstream.on("response", (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      // Half an answer must not look like a whole one.
      response.on("error", () => answer.destroy());
      if (path === "/events") this.#passEvents(response, answer);
      else response.pipe(answer);
    });
    upstream.on("error", () => answer.destroy());
    answer.on("close", () => upstream.destroy());
    upstream.end();
  }

  #passEvents(events: Readable, answer: ServerResponse): void {
    // Its subscriber counts the headers as the moment from which it hears everything.
    answer.flushHeaders();
    this.#eventStreams.add(answer);
    const write = (line: string): void => {
      if (!answer.destroyed) answer.write(`${line}\n`);
    };
    const mangler = new LineMangler(this.#options.events, this.#streams++, this.counts, write);
    events.setEncoding("utf8");
    events.on("data", (text: string) => mangler.take(text));
    events.on("close", () => answer.destroy());
    answer.on("close", () => {
      mangler.close();
      this.#eventStreams.delete(answer);
    });
  }
}

/** Without the API's version and the query. */
function pathOf(url = ""): string {
  return (url.split("?")[0] ?? "").replace(/^\/v\d+\.\d+(?=\/)/, "");
}
