import type { PushReply } from "../../shared/binding.ts";
import type { Log } from "../../shared/log.ts";
import { displayName } from "../../shared/name.ts";

/** Logs what the resolver did not grant: once when it starts, once when it is over. */
export class GrantNews {
  readonly #log: Log;
  #refused = new Map<string, string>();
  #last: PushReply | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Undefined before the first reply. */
  get hostLabel(): string | undefined {
    return this.#last?.hostLabel;
  }

  /** By the last reply. */
  get refused(): PushReply["refused"] {
    return this.#last?.refused ?? [];
  }

  read(reply: PushReply, declaredLabel: string): void {
    this.#readRefused(reply);
    const before = this.#last?.hostLabel ?? declaredLabel;
    this.#last = reply;
    if (before === reply.hostLabel) return;
    if (reply.hostLabel === declaredLabel)
      this.#log.info(`this host's own names stand under its label "${declaredLabel}" again`);
    else
      this.#log.warn(
        `another host has the label "${declaredLabel}", so this host's own names stand under "${reply.hostLabel}"; give it another one with --host-label`,
      );
  }

  #readRefused(reply: PushReply): void {
    const refused = new Map<string, string>();
    for (const { name, message } of reply.refused) {
      refused.set(name, message);
      if (this.#refused.get(name) !== message)
        this.#log.warn(`the resolver does not grant ${displayName(name)}: ${message}`);
    }
    if (refused.size === 0 && this.#refused.size > 0) this.#log.info("the resolver grants every name");
    this.#refused = refused;
  }
}
