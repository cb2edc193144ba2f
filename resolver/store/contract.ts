import { describe } from "vitest";

import type { MakeStore } from "./contract/harness.ts";
import { describeHttpPort } from "./contract/http-port.ts";
import { describeNames } from "./contract/names.ts";
import { describeRecords } from "./contract/records.ts";
import { describeRestart } from "./contract/restart.ts";
import { describeTtls } from "./contract/ttls.ts";
import { describeTurns } from "./contract/turns.ts";
import { describeViews } from "./contract/views.ts";

/**
 * The contract of BindingStore: every implementation runs it in its real runtime, so it imports nothing of any. Only a store that
 * says why nothing of it outlives its process is spared the cases after a restart.
 */
export function describeStore(name: string, makeStore: MakeStore, spared: { restart?: string } = {}): void {
  describe(`the ${name} store`, () => {
    describeTurns(makeStore);
    describeNames(makeStore);
    describeRecords(makeStore);
    describeHttpPort(makeStore);
    describeTtls(makeStore);
    describeViews(makeStore);
    if (spared.restart === undefined) describeRestart(makeStore);
  });
}
