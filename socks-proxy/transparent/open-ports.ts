import type { Address } from "../../shared/address.ts";
import type { Protocol } from "../../shared/dns/endpoints.ts";
import type { Name } from "../../shared/name.ts";
import type { Clock } from "./clock.ts";
import { type Problem, servicePortText } from "./port-fault.ts";

/** One service port of a name at one of its addresses. */
export interface PortAt {
  address: Address;
  protocol: Protocol;
  port: number;
}

/** What listens at one. Closing it ends no connection that was accepted. */
export interface Listener {
  close(): void;
}

/** Listens there and serves who comes, or says why it cannot. Never rejects. */
export type PortOpener = (name: Name, at: PortAt) => Promise<{ listener: Listener } | { problem: Problem }>;

type State =
  | { kind: "opening" }
  | { kind: "open"; listener: Listener }
  | { kind: "failed"; problem: Problem; triedAt: number };

/** The ports of one name: each opens, fails and closes by itself. */
export class OpenPorts {
  readonly #name: Name;
  readonly #open: PortOpener;
  readonly #clock: Clock;
  readonly #retryMs: number;
  readonly #states = new Map<string, State>();
  #isClosed = false;

  constructor(name: Name, open: PortOpener, clock: Clock, retryMs: number) {
    this.#name = name;
    this.#open = open;
    this.#clock = clock;
    this.#retryMs = retryMs;
  }

  /** Those that are being opened count as well. */
  get openCount(): number {
    let count = 0;
    for (const { kind } of this.#states.values()) if (kind !== "failed") count++;
    return count;
  }

  problems(): Problem[] {
    return [...this.#states.values()].flatMap((state) => (state.kind === "failed" ? [state.problem] : []));
  }

  /** Closes what is not wanted any more and opens what is missing, at most `room` of it. One call at a time. */
  async become(wanted: readonly PortAt[], room: number): Promise<void> {
    this.#isClosed = false;
    const keys = new Map(wanted.map((at) => [keyOf(at), at]));
    for (const [key, state] of [...this.#states]) {
      if (!keys.has(key)) this.#drop(key, state);
    }
    const missing = [...keys].filter(([key]) => this.#isDue(key));
    for (const [key, at] of missing.slice(room)) this.#noteNoRoom(key, at);
    await Promise.all(missing.slice(0, room).map(([key, at]) => this.#tryToOpen(key, at)));
  }

  closeAll(): void {
    this.#isClosed = true;
    for (const [key, state] of [...this.#states]) this.#drop(key, state);
  }

  #isDue(key: string): boolean {
    const state = this.#states.get(key);
    if (state === undefined) return true;
    return state.kind === "failed" && this.#clock.now() - state.triedAt >= this.#retryMs;
  }

  async #tryToOpen(key: string, at: PortAt): Promise<void> {
    this.#states.set(key, { kind: "opening" });
    const opened = await this.#open(this.#name, at);
    if ("listener" in opened && this.#isClosed) opened.listener.close();
    else if (this.#isClosed) return;
    else if ("problem" in opened) this.#noteProblem(key, opened.problem);
    else this.#states.set(key, { kind: "open", listener: opened.listener });
  }

  #noteNoRoom(key: string, at: PortAt): void {
    this.#noteProblem(key, {
      what: servicePortText(this.#name, at.protocol, at.port),
      fault: "too many ports are listened at already",
      mend: "raise LimitNOFILE= of the unit, or ulimit -n of the shell: a quarter of it is for listeners",
    });
  }

  #noteProblem(key: string, problem: Problem): void {
    this.#states.set(key, { kind: "failed", problem, triedAt: this.#clock.now() });
  }

  #drop(key: string, state: State): void {
    if (state.kind === "open") state.listener.close();
    this.#states.delete(key);
  }
}

function keyOf({ address, protocol, port }: PortAt): string {
  return `${address} ${protocol} ${port}`;
}
