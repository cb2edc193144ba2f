import type { PushReply } from "../../shared/binding.ts";
import type { Log } from "../../shared/log.ts";
import { displayName } from "../../shared/name.ts";

/** Logs what the resolver did not grant: once when it starts, once when it is over. */
export class GrantNews {
  readonly #log: Log;
  #refused = new Map<string, string>();
  #hostLabel: string | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  read(reply: PushReply, declaredLabel: string): void {
    this.#readRefused(reply);
    const before = this.#hostLabel ?? declaredLabel;
    this.#hostLabel = reply.hostLabel;
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
