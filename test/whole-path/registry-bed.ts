import { readFileSync } from "node:fs";
import { Agent, type RequestOptions, request } from "node:https";
import { join } from "node:path";

import { freePort } from "../../shared/testing/free-port.ts";
import type { TokenKind } from "../../shared/tokens.ts";
import { makeTemporaryDir } from "../testbed/temporary-dir.ts";
import { berth, Part } from "./parts.ts";

export type Reply = { status: number; headers: Record<string, unknown>; body: Buffer };

export type Asked = {
  method?: string;
  path: string;
  token?: string;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
  localAddress?: string;
};

export type BedOptions = {
  /** In front of the resolver's own command, such as nsenter. */
  wrapper?: string[];
  stateDir?: string;
  /** Where this process reads what the resolver keeps in its state directory. */
  seenAt?: string;
  flags?: string[];
};

/** A resolver as a process of its own on loopback, and https to it. */
export class RegistryBed {
  readonly part: Part;
  readonly stateDir: string;
  readonly port: number;
  readonly #seenAt: string;
  readonly #undo: () => void;
  #agent: Agent | undefined;

  private constructor(
    part: Part,
    place: { stateDir: string; seenAt: string; port: number },
    undo: () => void,
  ) {
    this.part = part;
    this.stateDir = place.stateDir;
    this.port = place.port;
    this.#seenAt = place.seenAt;
    this.#undo = undo;
  }

  static async start({ wrapper = [], flags = [], ...options }: BedOptions = {}): Promise<RegistryBed> {
    const own = options.stateDir === undefined ? makeTemporaryDir("berth-bed-") : undefined;
    const stateDir = options.stateDir ?? join(own?.path ?? "", "state");
    const port = await freePort();
    const listen = ["--listen", `127.0.0.1:${port}`, "--state-dir", stateDir];
    const argv = [...wrapper, ...berth("resolver", ...listen, ...flags)];
    const part = new Part({ name: "resolver", argv, ready: /answers for/ });
    const place = { stateDir, seenAt: options.seenAt ?? stateDir, port };
    const bed = new RegistryBed(part, place, () => own?.remove());
    await part.start();
    return bed;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get ca(): string {
    return readFileSync(join(this.#seenAt, "tls", "ca.pem"), "utf8");
  }

  /** Every line of the resolver's present life. */
  get log(): string[] {
    return this.part.process.lines;
  }

  tokenFile(kind: TokenKind): string {
    return join(this.#seenAt, `${kind}.token`);
  }

  token(kind: TokenKind): string {
    return readFileSync(this.tokenFile(kind), "utf8").trim();
  }

  /** One exchange on a connection that is kept for the next. Rejects when no whole reply came. */
  ask({ path, method = "GET", token, headers = {}, body, localAddress }: Asked): Promise<Reply> {
    this.#agent ??= new Agent({ keepAlive: true, maxSockets: 64, ca: this.ca });
    const own = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const at = { host: "127.0.0.1", port: this.port, path, method, agent: this.#agent };
    const from = localAddress === undefined ? {} : { localAddress };
    return exchange({ ...at, ...from, headers: { ...own, ...length, ...headers } }, body);
  }

  async json<T>(path: string, token = this.token("admin")): Promise<T> {
    const reply = await this.ask({ path, token });
    if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.body}`);
    return JSON.parse(reply.body.toString()) as T;
  }

  /** MiB of memory the resolver's process has at this moment. */
  residentMib(): number {
    const status = readFileSync(`/proc/${this.part.process.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
  }

  /** Stops it, changes what `change` changes, and starts it again. */
  async restart(change: () => unknown = () => undefined): Promise<void> {
    if (this.part.isRunning) await this.part.stop();
    await change();
    this.dropConnections();
    await this.part.start();
  }

  dropConnections(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  async close(): Promise<void> {
    this.dropConnections();
    if (this.part.isRunning) await this.part.stop();
    this.#undo();
  }
}

function exchange(options: RequestOptions, body: string | Uint8Array | undefined): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request({ timeout: 30_000, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: Buffer.concat(chunks) });
      });
    });
    sent.on("timeout", () => sent.destroy(new Error(`${options.method} ${options.path}: no reply in 30 s`)));
    sent.on("error", reject);
    sent.end(body);
  });
}
