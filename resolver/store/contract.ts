import { describe } from "vitest";

import { describeClock } from "./contract/clock.ts";
import { describeDeltas } from "./contract/deltas.ts";
import type { MakeStore, Spared } from "./contract/harness.ts";
import { describeHealth } from "./contract/health.ts";
import { describeHolds } from "./contract/holds.ts";
import { describeHttpPort } from "./contract/http-port.ts";
import { describeLimits } from "./contract/limits.ts";
import { describeNames } from "./contract/names.ts";
import { describeOwners } from "./contract/owners.ts";
import { describePorts } from "./contract/ports.ts";
import { describeRecords } from "./contract/records.ts";
import { describeReplays } from "./contract/replays.ts";
import { describeRestart } from "./contract/restart.ts";
import { describeScopes } from "./contract/scopes.ts";
import { describeTexts } from "./contract/texts.ts";
import { describeTtls } from "./contract/ttls.ts";
import { describeTurns } from "./contract/turns.ts";
import { describeViews } from "./contract/views.ts";

/**
 * The contract of BindingStore: every implementation runs it in its real runtime, so it imports nothing of any. A store is spared a
 * case only with its reason, and runs the one that holds for it instead.
 */
export function describeStore(name: string, makeStore: MakeStore, spared: Spared = {}): void {
  describe(`the ${name} store`, () => {
    describeTurns(makeStore, spared);
    describeReplays(makeStore);
    describeDeltas(makeStore);
    describeNames(makeStore);
    describeOwners(makeStore);
    describeHolds(makeStore);
    describeScopes(makeStore);
    describeLimits(makeStore);
    describeRecords(makeStore);
    describeHealth(makeStore);
    describeTexts(makeStore);
    describeHttpPort(makeStore);
    describePorts(makeStore);
    describeTtls(makeStore);
    describeViews(makeStore);
    describeClock(makeStore, spared);
    if (spared.restart === undefined) describeRestart(makeStore, spared);
  });
}
