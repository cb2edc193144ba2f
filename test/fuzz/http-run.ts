import { scriptedStub } from "../../client/testing/scripted-stub.ts";
import { parseAddress } from "../../shared/address.ts";
import { createLog } from "../../shared/log.ts";
import { Counts } from "../../socks-proxy/counts.ts";
import { createHttpProxy, type HttpContext } from "../../socks-proxy/http/http-proxy.ts";
import { Admission } from "../../socks-proxy/limits.ts";
import { createLineLimit } from "../../socks-proxy/line-limit.ts";
import { ServedConnection } from "../../socks-proxy/served-connection.ts";
import type { Case } from "./cases.ts";
import { memoryConnector, type ServedUpstream, withoutProxyName } from "./http-stand-ins.ts";
import { type MemorySocket, memoryChannel, memoryPair } from "./memory-channel.ts";
import type { MemoryWire } from "./memory-wire.ts";
import { users } from "./pure.ts";

/** What a client and the servers saw of one connection, as far as it may not hang on how the octets were cut. */
export interface SeenRun {
  client: string;
  ends: string;
  upstreams: readonly { destination: string; received: string; wasReset: boolean }[];
}

const limits = { connections: 1_000, connectionsPerClient: 1_000 };
/** Nothing here waits for time to pass. */
const times = { handshake: 600_000, resolve: 600_000, idle: 600_000 };

/** One case before an HTTP proxy of its own, over connections in memory. */
export class HttpRun {
  readonly tried: Case;
  readonly client: MemorySocket;
  readonly #near: MemorySocket;
  readonly #wire: MemoryWire;
  readonly #received: Buffer[] = [];
  readonly #upstreams: ServedUpstream[] = [];
  readonly #mayAnswer = Promise.withResolvers<void>();
  readonly #admission = new Admission(limits);
  readonly #lines: string[] = [];
  #ends = "";
  #isServed = false;

  constructor(tried: Case, wire: MemoryWire) {
    this.tried = tried;
    this.#wire = wire;
    [this.client, this.#near] = memoryPair(wire);
    this.client.on("data", (chunk: Buffer) => this.#received.push(chunk));
    // Who left when says whether an answer was taken for the whole.
    this.client.on("end", () => this.#noteEnd("ended"));
    this.client.on("close", () => this.client.wasReset && this.#noteEnd("reset"));
  }

  /** `early` is what the hand-shake has read already. */
  begin(early: Uint8Array): void {
    const proxy = createHttpProxy(this.#context());
    const connection = new ServedConnection(memoryChannel(this.#near), parseAddress("127.0.0.1"));
    void proxy.serve(connection, early).then(() => {
      this.#isServed = true;
    });
  }

  send(chunk: Uint8Array): void {
    if (this.client.writable) this.client.write(chunk);
  }

  /** From now on connections are made, and what they bring is answered. */
  answer(): void {
    this.#mayAnswer.resolve();
  }

  end(): void {
    this.#noteEnd("we end");
    if (this.client.writable) this.client.end();
  }

  /** Whatever the proxy still waits for, without a client there is no reason to. */
  leave(): void {
    this.#noteEnd(this.client.destroyed ? "closed" : "open");
    this.client.resetAndDestroy();
  }

  /** Throws when the proxy has kept anything, or found a fault of its own. */
  seen(): SeenRun {
    const own = this.#lines.find((line) => line.startsWith("error"));
    if (own !== undefined) throw new Error(own);
    if (!this.#isServed) throw new Error("the proxy still serves a client that has gone");
    const open = [this.#near, ...this.#upstreams.map(({ far }) => far.peer)].filter(
      ({ destroyed }) => !destroyed,
    );
    if (open.length > 0) throw new Error(`${open.length} connections stay open`);
    if (this.#admission.admitUser("me") !== undefined) throw new Error("a user is still counted");
    return {
      client: textOf(this.#received),
      ends: this.#ends,
      upstreams: this.#upstreams.map(({ destination, received, far }) => ({
        destination,
        received: withoutChunks(textOf(received)),
        wasReset: far.wasReset,
      })),
    };
  }

  #noteEnd(what: string): void {
    this.#ends += `${what}; `;
  }

  #context(): HttpContext {
    const isForUsers = this.tried.index % 4 === 1;
    const unlimited = createLineLimit(1_000, () => 0);
    return {
      connector: memoryConnector({
        wire: this.#wire,
        chosen: Math.imul(this.tried.index, 0x9e3779b9),
        mayAnswer: this.#mayAnswer.promise,
        served: this.#upstreams,
      }),
      stub: scriptedStub({ kind: "not-found", reason: "it is not asked" }),
      policy: { rules: [], outside: isForUsers ? "deny" : "allow" },
      users: isForUsers ? users : undefined,
      admission: this.#admission,
      times,
      counts: new Counts(),
      log: createLog("socks-proxy", "debug", (line) => this.#lines.push(line)),
      lineLimits: { turnedAway: unlimited, refused: unlimited, noToken: unlimited },
    };
  }
}

/** As if it all were at one moment. */
function textOf(received: readonly Buffer[]): string {
  const text = withoutProxyName(Buffer.concat(received).toString("latin1"));
  return text.replaceAll(/\r\nDate: [A-Z][^\r]*/g, "\r\nDate: now");
}

/** The octets of a body in chunks; its chunks are as long as what came at once. */
function withoutChunks(received: string): string {
  const head = received.slice(0, received.indexOf("\r\n\r\n") + 4);
  if (!/\r\nTransfer-Encoding: chunked\r\n/i.test(head)) return received;
  let body = "";
  let at = head.length;
  for (;;) {
    const lineEnd = received.indexOf("\r\n", at);
    const length = Number.parseInt(received.slice(at, lineEnd), 16);
    if (lineEnd === -1 || !(length > 0)) return `${head}${body}|${received.slice(at)}`;
    body += received.slice(lineEnd + 2, lineEnd + 2 + length);
    at = lineEnd + 2 + length + 2;
  }
}
