import { describeFault } from "../../../shared/errors.ts";
import type { Log } from "../../../shared/log.ts";
import type { DeedRecord } from "./deed-record.ts";
import type { EtcdGateway } from "./gateway.ts";
import type { HoldKeeper } from "./hold-keeper.ts";
import type { Keys } from "./layout.ts";
import type { Mirror } from "./mirror.ts";

export interface JanitorParts {
  gateway: EtcdGateway;
  keys: Keys;
  mirror: Mirror;
  holds: HoldKeeper;
  deeds: DeedRecord;
  log: Log;
}

/** Writes what follows from what stands in etcd, whoever brought that about. */
export class Janitor {
  readonly #parts: JanitorParts;

  constructor(parts: JanitorParts) {
    this.#parts = parts;
  }

  /** After a turn that is written: what cannot be written now is for the next sweep to mend, not for the host. Never rejects. */
  async tidyIfPossible(): Promise<void> {
    try {
      await this.tidy();
    } catch (fault) {
      this.#parts.log.warn(`left to the next sweep: ${describeFault(fault)}`);
    }
  }

  async tidy(): Promise<void> {
    await this.#parts.holds.flush();
    await this.#mark();
  }

  /** Hosts that etcd's own lease ended were nobody's deed: who wrote the first mark after it, at this revision, writes that down. */
  async recordLapses(markedAt: number): Promise<void> {
    const { mirror, deeds } = this.#parts;
    for (const [hostId, label] of mirror.lapses.takeAt(markedAt)) await deeds.hostGone(null, hostId, label);
  }

  /** Of several resolvers that see keys go, one leaves the mark; the others find it made. */
  async #mark(): Promise<void> {
    const { gateway, keys, mirror } = this.#parts;
    if (!mirror.lacksMark) return;
    const { succeeded, revision } = await gateway.txn({
      compare: [{ key: keys.mark, is: "equal", modRevision: mirror.markRevision }],
      success: [{ kind: "put", key: keys.mark, value: "" }],
    });
    if (!succeeded) return;
    await mirror.until(() => mirror.revision >= revision);
    await this.recordLapses(revision);
  }
}
