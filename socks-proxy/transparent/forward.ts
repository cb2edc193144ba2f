import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";

import { Rcode } from "../../shared/dns/constants.ts";
import { readMessageStart } from "../../shared/dns/question.ts";
import type { Transport } from "./answerer.ts";
import { MessageFrames, withLength } from "./tcp-frames.ts";
import type { Upstream } from "./upstream-choice.ts";

export interface Forwarder {
  /** The answer of the first server that has one, with the query's own id; undefined when none answers in time. Never rejects. */
  forward(message: Uint8Array, transport: Transport): Promise<Uint8Array | undefined>;
  /** Queries that wait for an answer. */
  close(): void;
}

/** A server that is silent for so long gets another one beside it. */
const attemptDelayMs = 1_000;
/** Below the 5 s for which most programs wait, so that they hear of a failure. */
const limitMs = 4_500;
/** Rounds through all the servers, for what is lost on the way. */
const rounds = 3;
const mostAttempts = 6;
/** A server that had to be gone round is the first to be asked again after this. */
const avoidMs = 30_000;

/**
 * Forwards queries as they are, but for an id of their own, over at most `mostSockets` sockets at a time: a loop through another DNS server
 * of this machine ends there.
 */
export function createForwarder(
  servers: () => readonly Upstream[],
  now: () => number,
  mostSockets: number,
): Forwarder {
  const sockets = { open: 0, most: mostSockets };
  const races = new Set<Race>();
  /** Servers that were silent, and until when they come last. */
  const avoided = new Map<string, number>();

  function inOrder(): Upstream[] {
    const all = servers();
    const isAvoided = (server: Upstream) => (avoided.get(keyOf(server)) ?? 0) > now();
    return [...all.filter((server) => !isAvoided(server)), ...all.filter(isAvoided)];
  }

  return {
    async forward(message, transport) {
      if (sockets.open >= sockets.most) return undefined;
      const race = new Race(message, transport, inOrder(), sockets);
      races.add(race);
      const answer = await race.run();
      races.delete(race);
      if (avoided.size > 64) avoided.clear();
      for (const server of race.silent) avoided.set(keyOf(server), now() + avoidMs);
      return answer;
    },
    close() {
      for (const race of races) race.end(undefined);
    },
  };
}

function keyOf({ address, port }: Upstream): string {
  return `${address} ${port}`;
}

/** Rcodes by which a server says that it cannot; another one may. */
const refusals: readonly number[] = [Rcode.ServFail, Rcode.NotImp, Rcode.Refused];

class Race {
  readonly #message: Uint8Array;
  readonly #transport: Transport;
  /** Of all races. */
  readonly #sockets: { open: number; most: number };
  /** Still to be asked, in this order. */
  #queue: Upstream[];
  readonly #attempts = new Set<() => void>();
  readonly #waitingFor = new Set<Upstream>();
  readonly #answered = Promise.withResolvers<Uint8Array | undefined>();
  /** The best there is when no server does better. */
  #refusal: Uint8Array | undefined;
  #pace: NodeJS.Timeout | undefined;
  #limit: NodeJS.Timeout | undefined;
  /** Servers that had not answered when another one had. */
  silent: Upstream[] = [];

  constructor(
    message: Uint8Array,
    transport: Transport,
    servers: readonly Upstream[],
    sockets: { open: number; most: number },
  ) {
    this.#message = message;
    this.#transport = transport;
    this.#sockets = sockets;
    this.#queue = Array.from({ length: rounds }, () => servers)
      .flat()
      .slice(0, Math.max(mostAttempts, servers.length));
  }

  run(): Promise<Uint8Array | undefined> {
    this.#limit = setTimeout(() => this.end(this.#refusal), limitMs);
    this.#startNext();
    return this.#answered.promise;
  }

  end(answer: Uint8Array | undefined): void {
    clearTimeout(this.#pace);
    clearTimeout(this.#limit);
    for (const stop of this.#attempts) this.#stop(stop);
    this.#answered.resolve(answer);
  }

  #startNext(): void {
    clearTimeout(this.#pace);
    const mayStart = this.#attempts.size === 0 || this.#sockets.open < this.#sockets.most;
    const server = mayStart ? this.#queue.shift() : undefined;
    if (server !== undefined) {
      this.#waitingFor.add(server);
      this.#start(server);
      this.#pace = setTimeout(() => this.#startNext(), attemptDelayMs);
    } else if (this.#attempts.size === 0) this.end(this.#refusal);
  }

  #start(server: Upstream): void {
    const begin = this.#transport === "udp" ? askByUdp : askByTcp;
    const stop = begin(withRandomId(this.#message), server, (answer) => {
      if (!this.#attempts.has(stop)) return;
      this.#stop(stop);
      this.#ended(server, answer);
    });
    this.#attempts.add(stop);
    this.#sockets.open++;
  }

  #stop(stop: () => void): void {
    this.#attempts.delete(stop);
    this.#sockets.open--;
    stop();
  }

  #ended(server: Upstream, answer: Uint8Array | undefined): void {
    if (answer !== undefined) {
      this.#waitingFor.delete(server);
      const own = withIdOf(answer, this.#message);
      if (!refusals.includes((answer[3] ?? 0) & 15)) {
        this.silent = [...this.#waitingFor];
        this.end(own);
        return;
      }
      this.#refusal ??= own;
    }
    // It has said what it has to say, or that nobody is there: asking it again would change nothing.
    this.#queue = this.#queue.filter((other) => other !== server);
    this.#startNext();
  }
}

/** Asks one server; `done` is called once, never within the call. The function given back ends the attempt. */
type Ask = (query: Uint8Array, server: Upstream, done: (answer?: Uint8Array) => void) => () => void;

/** A socket of its own for every attempt: its port is a second id, and connected it takes nothing from anybody but the server. */
const askByUdp: Ask = (query, { address, port }, done) => {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  let isOpen = true;
  socket.on("error", () => done());
  socket.on("message", (message) => {
    if (isAnswerTo(query, message)) done(message);
  });
  socket.once("connect", () => socket.send(query, (fault) => fault && done()));
  socket.connect(port, address);
  return () => {
    if (isOpen) socket.close();
    isOpen = false;
  };
};

const askByTcp: Ask = (query, { address, port }, done) => {
  const socket = connect({ host: address, port, noDelay: true });
  const frames = new MessageFrames();
  socket.on("error", () => done());
  socket.on("close", () => done());
  socket.once("connect", () => socket.write(withLength(query)));
  socket.on("data", (bytes) => {
    const message = frames.add(bytes).next();
    if (message !== undefined) done(isAnswerTo(query, message) ? message : undefined);
  });
  return () => socket.destroy();
};

/** Same id, same question; the spelling of the name is the server's to keep. */
function isAnswerTo(query: Uint8Array, answer: Uint8Array): boolean {
  try {
    const [asked, told] = [readMessageStart(query), readMessageStart(answer)];
    if (!told.isResponse || told.id !== asked.id || told.opcode !== asked.opcode) return false;
    // A server that could not read the question has none to give back.
    if (told.question === undefined) return refusals.concat(Rcode.FormErr).includes((answer[3] ?? 0) & 15);
    const { name, type, class: qclass } = told.question;
    return name === asked.question?.name && type === asked.question.type && qclass === asked.question.class;
  } catch {
    return false;
  }
}

function withRandomId(message: Uint8Array): Uint8Array {
  const id = randomInt(0x10000);
  const copy = Uint8Array.from(message);
  copy.set([id >> 8, id & 255]);
  return copy;
}

function withIdOf(answer: Uint8Array, query: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(answer);
  copy.set(query.subarray(0, 2));
  return copy;
}
