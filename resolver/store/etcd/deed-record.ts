import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { Name } from "../../../shared/name.ts";
import type { Access } from "../../access.ts";
import {
  type AuditLog,
  entryOfHostGone,
  entryOfPush,
  entryOfRelease,
  type NewAuditEntry,
  type PushEffect,
} from "../../audit.ts";

/** Writes down what this resolver did in etcd for somebody; what others did is in theirs. */
export class DeedRecord {
  readonly #audit: Pick<AuditLog, "record">;
  readonly #now: () => number;
  readonly #log: Log;

  constructor(audit: Pick<AuditLog, "record">, now: () => number, log: Log) {
    this.#audit = audit;
    this.#now = now;
    this.#log = log;
  }

  push(access: Access, effect: PushEffect): Promise<void> {
    return this.#record(entryOfPush(access, effect, this.#at()));
  }

  /** `access` is null when the lease ran out. */
  hostGone(access: Access | null, hostId: string, hostLabel: string): Promise<void> {
    return this.#record(entryOfHostGone(access, hostId, hostLabel, this.#at()));
  }

  release(access: Access, name: Name, owner: string): Promise<void> {
    return this.#record(entryOfRelease(access, name, owner, this.#at()));
  }

  #at(): number {
    return Math.floor(this.#now());
  }

  /** It is done by now: a record that cannot be written is no reason to say otherwise. */
  async #record(entry: NewAuditEntry): Promise<void> {
    try {
      await this.#audit.record([entry]);
    } catch (fault) {
      this.#log.error(`cannot write the audit record: ${describeFault(fault)}`);
    }
  }
}
